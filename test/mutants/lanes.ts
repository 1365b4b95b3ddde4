import type { Mutant } from "./mutants.ts";

const agent = "services/executor-agent/src";
const driverTests = ["test/integration/executor-agent/process-driver.test.ts"];

/** Of runs that wait in a lane. */
export const laneMutants: readonly Mutant[] = [
  {
    name: "taken-back-once",
    what: "a run that waits too long in a lane is asked back once, and for ever waits where that word was lost",
    file: `${agent}/domain/lanes.ts`,
    find: "for (const key of late) this.#sinceMs.set(key, elapsedMs);",
    replace: "for (const key of late) this.#sinceMs.set(key, Infinity);",
    tests: [`${agent}/domain/lanes.test.ts`],
  },
  {
    name: "lanes-of-before-stay",
    what: "what waits in a lane since an earlier life of the agent is left there",
    file: `${agent}/app/reactor.ts`,
    find: "  if (waiting.length > 0) effects.push",
    replace: "  if (waiting.length > 99) effects.push",
    tests: [`${agent}/app/agent-restart.test.ts`],
  },
  {
    name: "waiting-runs-in-the-record",
    what: "a keeper's compacted record has runs that have not begun",
    file: `${agent}/adapters/process/keeper/keeper.ts`,
    find: "if (!this.#lanes.waits(run.k)) yield run;",
    replace: "yield run;",
    tests: driverTests,
  },
];
