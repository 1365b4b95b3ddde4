import type { Mutant } from "./mutants.ts";

const docker = "services/executor-agent/src/adapters/docker";
const logTests = ["test/integration/executor-agent/docker-logs.test.ts"];
const driverTests = ["test/integration/executor-agent/docker-driver.test.ts"];

/** Of output and ends of containers. */
export const dockerMutants: readonly Mutant[] = [
  {
    name: "no-live-output",
    what: "output is read from the engine's log only, which loses what is printed fast",
    file: `${docker}/run-starter.ts`,
    find: "else await this.#deps.outputOf(held).attach(stop);",
    replace: "",
    tests: logTests,
  },
  {
    name: "sink-blocks-container",
    what: "a sink that takes nothing blocks the container for as long",
    file: `${docker}/live-output.ts`,
    find: "const mostBlockedMs = 1000;",
    replace: "const mostBlockedMs = 1_000_000;",
    tests: logTests,
  },
  {
    name: "ends-of-long-lines-dropped",
    what: "the newline of a long line stays away",
    file: `${docker}/line-ends.ts`,
    find: "&& isPart && !kept && { owed: true }",
    replace: "&& false",
    tests: [`${docker}/line-ends.test.ts`],
  },
  {
    name: "place-not-looked-for",
    what: "where the log's beginning is gone, all of the rest is taken for new",
    file: `${docker}/engine-log.ts`,
    find: "if (tails) await this.#scan(signal, (entry) => finder.look(entry));",
    replace: "",
    tests: logTests,
  },
  {
    name: "shutdown-is-an-exit",
    what: "what a shutdown ended is told as its own end",
    file: `${docker}/run-ender.ts`,
    find: "bootedAt !== undefined && at < bootedAt",
    replace: "false",
    tests: driverTests,
  },
  {
    name: "host-paths-told",
    what: "a missing interpreter is told as a missing command",
    file: `${docker}/not-started.ts`,
    find: "isScript(task) ? interpreterOf(program) : undefined",
    replace: "undefined",
    tests: driverTests,
  },
  {
    name: "found-ended-times-out",
    what: "a run that ended while no agent was there counts as timed out",
    file: "services/executor-agent/src/domain/steps.ts",
    find: " && !endFollows",
    replace: "",
    tests: ["services/executor-agent/src/domain/transitions.test.ts"],
  },
];
