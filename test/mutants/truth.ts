import type { Mutant } from "./mutants.ts";

const hosts = "services/scheduler/src/domain/hosts.ts";
const rests = ["services/scheduler/src/domain/host-rests.test.ts"];

/** Of who speaks for a host, whose fault a refusal is, and what is left out. */
export const truthMutants: readonly Mutant[] = [
  {
    name: "second-agent-is-let-in",
    what: "a second agent of a host name is let in while the first is heard",
    file: "services/storage/src/domain/host-name.ts",
    find: "silentMs >= keepsNameMs",
    replace: "silentMs >= 0",
    tests: ["services/storage/src/domain/host-name.test.ts"],
  },
  {
    name: "refused-agent-serves",
    what: "a refused agent still takes assignments",
    file: "services/executor-agent/src/app/host-name.ts",
    find: "    this.#stop.abort(new Error(message));",
    replace: "",
    tests: ["services/executor-agent/src/app/agent.test.ts"],
  },
  {
    name: "report-of-second-agent",
    what: "a report of an agent that does not speak for its host is committed",
    file: "services/watcher/src/app/watcher.ts",
    find: `speaker !== "" && speaker !== agentId`,
    replace: `speaker === "never"`,
    tests: ["services/watcher/src/app/watcher.test.ts"],
  },
  {
    name: "burst-counts-each",
    what: "each refusal of a burst counts",
    file: hosts,
    find: "    if (as.userRests < rest.rests) return;",
    replace: "",
    tests: rests,
  },
  {
    name: "one-user-rests-host",
    what: "refusals of one user's tasks make a host rest for everybody",
    file: hosts,
    find: "filter(({ againstHost }) => againstHost).length > 1",
    replace: "filter(({ againstHost }) => againstHost).length > 0",
    tests: rests,
  },
  {
    name: "unsafe-array-planned",
    what: "an array whose cursor is no safe integer is planned",
    file: "services/scheduler/src/adapters/codec.ts",
    find: "|| !Number.isSafeInteger(Math.max(last, cursor) + step)",
    replace: "",
    tests: ["services/scheduler/src/adapters/codec.test.ts"],
  },
  {
    name: "unreadable-row-ends-feed",
    what: "a row that cannot be decoded ends the feed",
    file: "libs/runtime/src/follow-feed.ts",
    find: "setAside.add(`a row of ${bytes.length} bytes`, error);",
    replace: "throw error;",
    tests: ["libs/runtime/src/follow-feed.test.ts"],
  },
  {
    name: "unsound-run-listed",
    what: "a watcher takes a run whose id is none",
    file: "libs/core/src/run.ts",
    find: "isTaskId(taskId) &&",
    replace: "",
    tests: ["test/faults/raw-nats.test.ts"],
  },
];
