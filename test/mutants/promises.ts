import type { Mutant } from "./mutants.ts";

/** Of what is promised: durable before acknowledged, once, adopted, stopped only on a verdict, and only for whom it is meant. */
export const promiseMutants: readonly Mutant[] = [
  {
    name: "attempt-not-in-the-filter",
    what: "a report of an earlier attempt is taken for one of the present",
    file: "services/storage/src/decisions/take-report.ts",
    find: "eventOf(news.phase, kind, attempt, news.outcome, news.reason)",
    replace: "eventOf(news.phase, kind, row.attempt, news.outcome, news.reason)",
    tests: ["test/contract/task-store.test.ts"],
  },
  {
    name: "acknowledged-before-commit",
    what: "answers come before the transaction is durable",
    file: "libs/database/src/sqlite.ts",
    find: `sql("COMMIT").run();`,
    replace: `setTimeout(() => sql("COMMIT").run(), 20);`,
    tests: ["libs/database", "services/storage"],
  },
  {
    name: "no-adoption",
    what: "an agent does not look for what an earlier one left running",
    file: "services/executor-agent/src/adapters/process/keepers.ts",
    find: "await Promise.all(names.map((name) => this.#find(name)));",
    replace: "",
    tests: ["test/integration/executor-agent/process-driver.test.ts"],
  },
  {
    name: "no-steps",
    what: "nextSteps never wants anything",
    file: "services/executor-agent/src/domain/steps.ts",
    find: "  const { key, phase, stop } = held;\n  switch (phase.kind) {",
    replace: "  const { key, phase, stop } = held;\n  if (held) return [];\n  switch (phase.kind) {",
    tests: ["services/executor-agent/src/domain/steps.test.ts"],
  },
  {
    name: "agent-stops-what-is-absent",
    what: "a run that the answer to a sync does not name is stopped",
    file: "services/executor-agent/src/app/reactor.ts",
    find: "  takeVerdicts(draft, verdicts, askedElapsedMs, now);",
    replace: `  takeVerdicts(draft, verdicts, askedElapsedMs, now);
  for (const held of host.values()) {
    if (!isLive(held) || verdicts.some(({ run }) => run && runKey(run) === held.key)) continue;
    draft.save(transition.onVerdict(held, { kind: "stop", cause: "over", by: "" }, now.at), "now");
    draft.do({ do: "commit" });
  }`,
    tests: ["services/executor-agent"],
  },
  {
    name: "started-beyond-capacity",
    what: "what waits on a host starts whether there is room or not",
    file: "services/executor-agent/src/domain/waiting-runs.ts",
    find: "if (!fits) break;",
    replace: "",
    tests: ["services/executor-agent"],
  },
  {
    name: "no-access-table",
    what: "the gateway lets every user call everything",
    file: "services/gateway/src/app/authorize.ts",
    find: `if (rule === undefined || (rule === "admin" && !caller.admin))`,
    replace: "if (rule === undefined)",
    tests: ["services/gateway"],
  },
];
