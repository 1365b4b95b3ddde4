import type { Mutant } from "./mutants.ts";

const planner = ["services/scheduler", "test/sim"];
const domain = "services/scheduler/src/domain";
const watching = "services/watcher/src";
const watcher = ["services/watcher"];

/** Of the scheduler and the watcher. */
export const schedulingMutants: readonly Mutant[] = [
  {
    name: "no-memory-filter",
    what: "the memory filter is left out",
    file: `${domain}/filters.ts`,
    find: "enoughCpu, enoughMemory]",
    replace: "enoughCpu]",
    tests: planner,
  },
  {
    name: "memory-not-searched",
    what: "hosts are found by their free cpu alone",
    file: `${domain}/host-index.ts`,
    find: " || this.#memory[node]! < memory",
    replace: "",
    tests: planner,
  },
  {
    name: "plan-not-charged",
    what: "a plan does not count its own placements",
    file: `${domain}/cycle.ts`,
    find: "    hosts.take(host, shape.needs);\n    turn.placed",
    replace: "    turn.placed",
    tests: planner,
  },
  {
    name: "plan-not-held",
    what: "what is being committed is planned again",
    file: "services/scheduler/src/app/leader.ts",
    find: "queue.hold(plan);",
    replace: "",
    tests: planner,
  },
  {
    name: "array-limit-ignored",
    what: "more elements of an array are placed than may be live",
    file: `${domain}/array-claims.ts`,
    find: "this.maxLive > 0 && this.live + extra >= this.maxLive",
    replace: "false",
    tests: planner,
  },
  {
    name: "afterok-like-after",
    what: "a task starts although what must succeed first failed",
    file: `${domain}/dependencies.ts`,
    find: `kind === "afterok" && outcome`,
    replace: `kind === "after" && outcome`,
    tests: planner,
  },
  {
    name: "old-rows-count",
    what: "an older row of the feed overwrites a newer one",
    file: `${domain}/queue.ts`,
    find: "if (known && facts.revision <= known.revision) return;",
    replace: "",
    tests: planner,
  },
  {
    name: "refused-is-lost",
    what: "a placement that storage refused is never planned again",
    file: `${domain}/queue.ts`,
    find: "for (const [record, untilMs] of this.#doubtful) if (untilMs <= nowMs) this.#settleIn(record);",
    replace: "",
    tests: planner,
  },
  {
    name: "absence-stops",
    what: "a run that is not in view is stopped",
    file: `${watching}/domain/verdicts.ts`,
    find: "else ask.push(each);",
    replace: `else verdicts.push({ run: each, verdict: { kind: "stop", cause: "over", by: "" } });`,
    tests: watcher,
  },
  {
    name: "array-kill-forgotten",
    what: "a kill of an array does not reach its elements",
    file: `${watching}/domain/run-view.ts`,
    find: "if (!own || !shared) return own ?? shared;",
    replace: "return own;",
    tests: watcher,
  },
  {
    name: "answered-uncommitted",
    what: "a report that was not committed is answered as if it were",
    file: `${watching}/adapters/nats/agent-server.ts`,
    find: "throw error;\n        return { answers: report.statuses.map(() => ReportAnswer.LATER)",
    replace: "throw error;\n        return { answers: report.statuses.map(() => ReportAnswer.COMMITTED)",
    tests: watcher,
  },
  {
    name: "judged-too-early",
    what: "verdicts are given before the view is whole",
    file: `${watching}/app/watcher.ts`,
    find: "    if (!this.ready) {\n      this.#heard(hostId, runs);\n      return undefined;\n    }\n",
    replace: "",
    tests: watcher,
  },
  {
    name: "journal-lost-at-once",
    what: "runs are given up at the first sight of another journal",
    file: `${watching}/app/watcher.ts`,
    find: "this.#contacts.journalSettled(hostId, journalId, now) && ",
    replace: "",
    tests: watcher,
  },
];
