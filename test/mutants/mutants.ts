import { commandLineMutants } from "./command-line.ts";
import { copyMutants } from "./copies.ts";
import { dockerMutants } from "./docker.ts";
import { edgeMutants } from "./edge.ts";
import { identityMutants } from "./identity.ts";
import { keeperMutants } from "./keepers.ts";
import { fileMutants } from "./files.ts";
import { laneMutants } from "./lanes.ts";
import { localMutants } from "./local.ts";
import { lostHostMutants } from "./lost-hosts.ts";
import { mongoMutants } from "./mongo.ts";
import { promiseMutants } from "./promises.ts";
import { schedulingMutants } from "./scheduling.ts";
import { storeMutants } from "./store.ts";
import { systemMutants } from "./system.ts";
import { truthMutants } from "./truth.ts";

/** One way to break the code, and the tests that must notice. */
export interface Mutant {
  readonly name: string;
  readonly what: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, as vitest's filters. */
  readonly tests: readonly string[];
}

const machine = "libs/core/src/task-state.ts";
const machineTests = ["libs/core/src/task-state.test.ts"];

export const mutants: readonly Mutant[] = [
  {
    name: "terminal-states-change",
    what: "an ended task takes another end",
    file: machine,
    find: `    case "over":
    case "archived":
      return { kind: "unchanged" };
    case "placed":`,
    replace: `    case "over":
      if (event.kind === "ended") return moved({ kind: "over", attempt: state.attempt, outcome: event.outcome, reason: event.reason }, undefined);
      return { kind: "unchanged" };
    case "archived":
      return { kind: "unchanged" };
    case "placed":`,
    tests: machineTests,
  },
  {
    name: "old-attempt-counts",
    what: "news of an older attempt moves the task",
    file: machine,
    find: `if (event.attempt < state.attempt) return { kind: "superseded" };`,
    replace: "",
    tests: machineTests,
  },
  {
    name: "future-attempt-counts",
    what: "news of an attempt that was never made moves the task",
    file: machine,
    find: `if (event.attempt > state.attempt) return refused("UNKNOWN_ATTEMPT");`,
    replace: "",
    tests: machineTests,
  },
  {
    name: "kill-does-not-stop-placement",
    what: "a task asked to be killed is placed",
    file: machine,
    find: `if (request === "kill") return refused("KILL_REQUESTED");`,
    replace: "",
    tests: machineTests,
  },
  {
    name: "attempts-jump",
    what: "a placement may skip or repeat an attempt",
    file: machine,
    find: `if (event.attempt !== state.attempt + 1) return refused("STALE_ATTEMPT");`,
    replace: "",
    tests: machineTests,
  },
  {
    name: "placed-twice",
    what: "a placed task is placed again",
    file: machine,
    find: `if (state.kind !== "pending") return refused("NOT_PENDING");
      if (request`,
    replace: `if (request`,
    tests: machineTests,
  },
  {
    name: "kill-forgotten",
    what: "a later request replaces a kill",
    file: machine,
    find: `if (request === "kill" || request === asked) return { kind: "unchanged" };`,
    replace: `if (request === asked) return { kind: "unchanged" };`,
    tests: machineTests,
  },
  {
    name: "request-survives-end",
    what: "a request is kept on an ended task",
    file: machine,
    find: `return moved({ kind: "over", attempt: state.attempt, outcome: event.outcome, reason: event.reason }, undefined);
    case "refused":`,
    replace: `return moved({ kind: "over", attempt: state.attempt, outcome: event.outcome, reason: event.reason }, request);
    case "refused":`,
    tests: machineTests,
  },
  {
    name: "runs-unplaced",
    what: "news starts a pending task",
    file: machine,
    find: `return event.kind === "refused" || event.kind === "lost" ? { kind: "unchanged" } : { kind: "superseded" };`,
    replace: `return moved({ kind: "running", attempt: state.attempt, hostId: "" }, request);`,
    tests: machineTests,
  },
  ...schedulingMutants,
  ...promiseMutants,
  ...storeMutants,
  ...lostHostMutants,
  ...laneMutants,
  ...localMutants,
  ...identityMutants,
  ...keeperMutants,
  ...commandLineMutants,
  ...copyMutants,
  ...dockerMutants,
  ...mongoMutants,
  ...fileMutants,
  ...systemMutants,
  ...truthMutants,
  ...edgeMutants,
];
