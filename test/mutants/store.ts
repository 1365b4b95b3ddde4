import type { Mutant } from "./mutants.ts";

const contract = ["test/contract/task-store.test.ts"];

/** Folding and retention: folding changes nothing that is read, and no record that is needed is removed. */
export const storeMutants: readonly Mutant[] = [
  {
    name: "folds-beyond-the-cursor",
    what: "an element that was killed early is folded before the cursor stepped over it",
    file: "services/storage/src/adapters/sqlite/fold.ts",
    find: "cursor: open.cursor",
    replace: "cursor: 9_000_000_000_000_000",
    tests: contract,
  },
  {
    name: "chunk-forgets",
    what: "a chunk that is added to loses what was in it",
    file: "services/storage/src/adapters/form/folded-chunk.ts",
    find: "const rows = [...known, ...added]",
    replace: "const rows = [...added]",
    tests: contract,
  },
  {
    name: "folds-what-lives",
    what: "elements that live are folded with their neighbours",
    file: "services/storage/src/decisions/fold.ts",
    find: "row.state === overCode && (all || ",
    replace: "(all || ",
    tests: contract,
  },
  {
    name: "folded-is-unknown",
    what: "a report of a folded run finds no record",
    file: "services/storage/src/adapters/sqlite/records.ts",
    find: "return idx < 0 ? undefined : readFolded(this.#db, number, idx);",
    replace: "return idx < 0 || readFolded(this.#db, number, idx) ? undefined : undefined;",
    tests: contract,
  },
  {
    name: "clock-is-believed",
    what: "a clock that jumps a year ahead deletes at once",
    file: "services/storage/src/domain/clock-doubt.ts",
    find: "|| nowMs - believedAtMs <= jumpMs",
    replace: "|| nowMs >= 0",
    tests: ["services/storage/src/domain"],
  },
  {
    name: "numbers-come-again",
    what: "the newest record is deleted, and its number given to another task",
    file: "services/storage/src/adapters/sqlite/retention.ts",
    find: "AND number < (SELECT max(number) FROM specs)",
    replace: "",
    tests: contract,
  },
  {
    name: "archived-before-files-went",
    what: "a record says that files are gone which are there",
    file: "services/storage/src/app/keep-tasks.ts",
    find: "(error: unknown) => onStuck(taskId, error),",
    replace: "() => cleaned.push(taskId),",
    tests: ["services/storage/src/app"],
  },
  {
    name: "unable-for-ever",
    what: "a task that its hosts are unable to start is tried once more than is said",
    file: "services/storage/src/domain/report-event.ts",
    find: "refused < refusedAtMost[blame]",
    replace: "refused <= refusedAtMost[blame]",
    tests: contract,
  },
  {
    name: "kill-of-what-no-host-starts",
    what: "a task that was to be killed ends as one that no host could start",
    file: "services/storage/src/decisions/take-report.ts",
    find: ' || lifeOf(row, array).request === "kill") return said;',
    replace: ") return said;",
    tests: contract,
  },
];
