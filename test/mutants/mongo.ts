import type { Mutant } from "./mutants.ts";

const adapter = "services/storage/src/adapters/mongo";
const faults = ["test/contract/mongo-faults.test.ts"];
const copies = ["test/contract/mongo-copies.test.ts"];

/** The store on MongoDB: commits of unknown outcome, other copies, lost streams. */
export const mongoMutants: readonly Mutant[] = [
  {
    name: "commit-is-not-read-back",
    what: "a commit whose answer was lost is done again without asking whether it got in",
    file: `${adapter}/transactions.ts`,
    find: "if (unknown && ",
    replace: "if (unknown?.length === -1 && ",
    tests: faults,
  },
  {
    name: "unknown-counts-as-stored",
    what: "a commit that never arrived is answered as if it had",
    file: `${adapter}/transactions.ts`,
    find: "?.seq ?? 0) >= this.#seq",
    replace: "?.seq ?? 0) >= 0",
    tests: faults,
  },
  {
    name: "one-call-spoils-all",
    what: "a call that cannot be stored fails the others of its transaction",
    file: `${adapter}/commit-loop.ts`,
    find: "if (!shared && batch.length > 1) {",
    replace: "if (!shared && batch.length > 1_000) {",
    tests: faults,
  },
  {
    name: "stream-is-needed",
    what: "without a change stream nobody looks at what others commit",
    file: `${adapter}/feed.ts`,
    find: "const lookUnwatchedMs = 100;",
    replace: "const lookUnwatchedMs = 600_000;",
    tests: copies,
  },
  {
    name: "epoch-is-not-looked-at",
    what: "a store writes on in a database that was restored under it",
    file: `${adapter}/transactions.ts`,
    find: "if (taken.epoch !== epoch) throw",
    replace: "if (taken.epoch === epoch + epoch) throw",
    tests: faults,
  },
  {
    name: "outage-is-silence",
    what: "hosts count as silent while the database was away",
    file: `${adapter}/engine.ts`,
    find: 'error.code === "unavailable") hosts.interrupted();',
    replace: 'error.code === "unavailable") hosts;',
    tests: faults,
  },
  {
    name: "deaf-to-other-copies",
    what: "a host that another copy hears is called silent",
    file: `${adapter}/hosts.ts`,
    find: "Math.max(told.get(id) ?? 0, this.#seen.get(id) ?? 0);",
    replace: "this.#seen.get(id) ?? 0;",
    tests: copies,
  },
  {
    name: "hosts-of-yesterday",
    what: "a change of a host by another copy is not seen",
    file: `${adapter}/hosts.ts`,
    find: "if (revision === this.#revision) return this.#known;",
    replace: "if (this.#revision >= 0 && revision >= 0) return this.#known;",
    tests: copies,
  },
  {
    name: "own-transaction-left-open",
    what: "a store waits for the transaction that its own broken connection left open",
    file: `${adapter}/stale-sessions.ts`,
    find: "    await this.endLeft();\n",
    replace: "",
    tests: faults,
  },
  {
    name: "killed-store-holds-all-up",
    what: "nobody ends the transaction of a store that was killed in it",
    file: `${adapter}/stale-sessions.ts`,
    find: "    await this.#endOthers();\n",
    replace: "",
    tests: copies,
  },
  {
    name: "host-name-given-twice",
    what: "two stores give one host name to two agents that ask at the same moment",
    file: "services/storage/src/adapters/mongo/hosts.ts",
    find: "new Set(changed.filter(isTaken).map(({ id }) => id));",
    replace: "new Set(changed.filter((host) => !host && isTaken(host)).map(({ id }) => id));",
    tests: ["test/contract/mongo-copies.test.ts"],
  },
];
