import type { Mutant } from "./mutants.ts";

const keeper = "libs/runtime/src/lease-keeper.ts";
const keeperTests = ["libs/runtime/src/lease-keeper.test.ts"];

/** Of leases, takeovers, and clients that go on at another copy. */
export const copyMutants: readonly Mutant[] = [
  {
    name: "lease-from-its-answer",
    what: "a lease is held for its life after the answer came, not after the request was sent",
    file: keeper,
    find: "answer.held ? sentAtMs + ttlMs",
    replace: "answer.held ? monotonic() + ttlMs",
    tests: keeperTests,
  },
  {
    name: "lease-without-end",
    what: "a lease that could not be renewed is held on",
    file: keeper,
    find: "return this.#options.monotonic() < this.#untilMs;",
    replace: "return this.#untilMs > 0;",
    tests: keeperTests,
  },
  {
    name: "standby-sleeps-long",
    what: "a standby asks for the lease once a life",
    file: keeper,
    find: "const renewalsPerLease = 8;",
    replace: "const renewalsPerLease = 1;",
    tests: keeperTests,
  },
  {
    name: "stale-plan-unseen",
    what: "a plan that is refused for its term is not counted",
    file: "services/scheduler/src/app/leader.ts",
    find: "    this.#deps.instruments.staleTerm();\n",
    replace: "",
    tests: ["services/scheduler/src/app/scheduler.test.ts"],
  },
  {
    name: "timers-without-lease",
    what: "every watcher keeps the timers",
    file: "services/watcher/src/app/timers.ts",
    find: "if (keeper.held) await onTick();",
    replace: "await onTick();",
    tests: ["services/watcher/src/app/timers.test.ts"],
  },
  {
    name: "silent-copy-is-waited-for",
    what: "a copy that does not answer uses up the time of the call",
    file: "libs/runtime/src/grpc-client.ts",
    find: "hasCopies ? Math.max(minTryMs, deadlineMs / triesPerDeadline) : deadlineMs",
    replace: "deadlineMs",
    tests: ["libs/runtime/src/grpc-copies.test.ts"],
  },
  {
    name: "silent-stream-is-waited-for",
    what: "a stream that says nothing is read for ever",
    file: "libs/contracts/src/while-heard.ts",
    find: '    stop.abort(new AppError("unavailable", "STREAM_SILENT"',
    replace: '    void (new AppError("unavailable", "STREAM_SILENT"',
    tests: ["libs/contracts/src/while-heard.test.ts"],
  },
  {
    name: "submits-without-request-id",
    what: "the SDK names no submit, so that none can be made again",
    file: "clients/sdk/src/call-errors.ts",
    find: "one.requestId || one.dryRun ? one",
    replace: "one ? one",
    tests: ["clients/sdk/src/request-ids.test.ts"],
  },
  {
    name: "ends-told-again",
    what: "a watch that is resumed tells an end twice",
    file: "clients/sdk/src/follow.ts",
    find: "yield ends.onlyNew(message);",
    replace: "yield message;",
    tests: ["clients/sdk/src/follow.test.ts"],
  },
  {
    name: "key-sent-to-strangers",
    what: "a kept key is sent to a list that names one gateway of its cluster and another from elsewhere",
    file: "clients/cli/src/connection.ts",
    find: "splitAddresses(servers).every(",
    replace: "splitAddresses(servers).some(",
    tests: ["clients/cli/src/connection.test.ts"],
  },
];
