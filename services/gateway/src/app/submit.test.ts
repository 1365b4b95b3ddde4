import { AppError, GiB } from "@berth/core";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { NewTask } from "@berth/contracts/store";
import type { SubmitResult } from "@berth/contracts/store";
import { describe, expect, it } from "vitest";
import { requestChecks } from "../adapters/checks/request-checks.ts";
import { cachingResolver } from "./resolver.ts";
import { makeSubmits } from "./submit.ts";
import type { SubmitDeps } from "./submit.ts";

const anna = { user: "anna", admin: false };
const identity = { user: "anna", uid: 20_001, gid: 20_001, groups: [] };
const request = (spec: object = {}, rest: object = {}) =>
  SubmitTaskRequest.fromPartial({ spec: { command: ["/bin/echo", "hi"], ...spec }, ...rest });

/** A store that numbers tasks, and an auth that knows one volume. */
function world(fail: (call: number, task: NewTask) => SubmitResult["failure"] | Error = () => undefined) {
  const calls: NewTask[][] = [];
  const asked: number[] = [];
  let next = 1;
  const store = {
    async submit({ tasks }: { tasks: NewTask[] }) {
      calls.push(tasks);
      await new Promise((resolve) => setImmediate(resolve));
      const results = tasks.map((task): SubmitResult => {
        const failure = fail(calls.length, task);
        if (failure instanceof Error) throw failure;
        return failure ? { taskId: "", existing: false, failure } : { taskId: String(next++), existing: false };
      });
      return { results };
    },
    getTask: async () => Promise.reject(new AppError("not-found", "TASK_NOT_FOUND", "none")),
  } as unknown as SubmitDeps["store"];
  const auth = {
    async resolveSubmits({ submits }: { submits: { volumes: { name: string }[] }[] }) {
      asked.push(submits.length);
      return {
        identity,
        results: submits.map(({ volumes }) =>
          volumes.some(({ name }) => name !== "db")
            ? {
                mounts: [],
                failure: {
                  code: "invalid",
                  reason: "UNKNOWN_VOLUME",
                  message: "volumes: no such volume",
                  metadata: { field: "volumes" },
                },
              }
            : {
                mounts: volumes.map(({ name }) => ({
                  name,
                  source: `/${name}`,
                  target: `/mnt/${name}`,
                  readOnly: true,
                })),
              },
        ),
      };
    },
  } as unknown as Parameters<typeof cachingResolver>[0];
  const resolver = cachingResolver(auth, { ttlMs: 1000, now: () => 0 });
  const submits = makeSubmits({
    store,
    resolver,
    largestHosts: {
      get: () => [
        { cpuMilli: 2_000, memoryBytes: 4 * GiB },
        { cpuMilli: 1_000, memoryBytes: 8 * GiB },
      ],
    },
    defaults: { timeLimitMs: 604_800_000, graceMs: 10_000, hostLeaseMs: 900_000 },
    checks: requestChecks,
    traceparent: () => "00-aa",
  });
  return { submits, calls, asked };
}

describe("submit", () => {
  it("fills in what the user left out, and the server's identity", async () => {
    const { submits, calls } = world();
    expect(await submits.one(anna, request({ volumes: [{ name: "db" }] }))).toEqual({
      taskId: "1",
      existing: false,
      warnings: [],
    });
    expect(calls[0]![0]).toMatchObject({
      runSpec: {
        identity,
        traceParent: "00-aa",
        mounts: [{ name: "db" }],
        spec: {
          name: "echo",
          project: "default",
          resources: { cpuMilli: 1000, memoryBytes: 268_435_456 },
          timeLimitMs: 604_800_000,
          graceMs: 10_000,
          network: "NETWORK_NONE",
        },
      },
      admin: false,
    });
  });

  it("gives a lease to what does not wait for a lost host", async () => {
    const { submits, calls } = world();
    const leaseOf = async (spec: object) => {
      await submits.one(anna, request(spec));
      return calls.at(-1)![0]!.runSpec!.spec!.hostLeaseMs;
    };
    expect(await leaseOf({})).toBe(0);
    expect(await leaseOf({ onHostLost: "ON_HOST_LOST_WAIT" })).toBe(0);
    expect(await leaseOf({ onHostLost: "ON_HOST_LOST_RETRY" })).toBe(900_000);
    expect(await leaseOf({ onHostLost: "ON_HOST_LOST_FAIL", hostLeaseMs: 20_000 })).toBe(20_000);
  });

  it("gathers concurrent singles into few calls, each with its own answer", async () => {
    const { submits, calls, asked } = world((_, task) =>
      task.clientKey === "13"
        ? { code: "conflict", reason: "CLIENT_KEY_CONFLICT", message: "another spec", metadata: {} }
        : undefined,
    );
    const answers = await Promise.allSettled(
      Array.from({ length: 64 }, (_, n) => submits.one(anna, request({}, { requestId: String(n) }))),
    );
    expect(calls.length).toBeLessThanOrEqual(2);
    expect(asked).toEqual([1]);
    expect(answers.filter((a) => a.status === "fulfilled")).toHaveLength(63);
    expect(answers[13]).toMatchObject({
      status: "rejected",
      reason: { code: "conflict", reason: "CLIENT_KEY_CONFLICT" },
    });
    expect(new Set(answers.flatMap((a) => (a.status === "fulfilled" ? [a.value.taskId] : []))).size).toBe(63);
  });

  it("sends a large one alone", async () => {
    const { submits, calls } = world();
    await Promise.all([
      submits.one(anna, request()),
      submits.one(anna, request({ files: [{ path: "x", content: Buffer.alloc(100_000) }] })),
      submits.one(anna, request()),
    ]);
    expect(calls.map((tasks) => tasks.length).toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  it("repeats a call whose answer was lost only where every task has a key", async () => {
    const lost = (call: number) => (call === 1 ? new AppError("unavailable", "PEER_UNAVAILABLE", "gone") : undefined);
    const keyed = world(lost);
    expect((await keyed.submits.one(anna, request({}, { requestId: "k" }))).taskId).toBe("1");
    const plain = world(lost);
    await expect(plain.submits.one(anna, request())).rejects.toMatchObject({ code: "unavailable" });
    expect(plain.calls).toHaveLength(1);
  });

  it("refuses what is wrong and stores nothing", async () => {
    const { submits, calls } = world();
    await expect(submits.one(anna, request({ priority: 101 }))).rejects.toMatchObject({ reason: "INVALID_PRIORITY" });
    await expect(submits.one(anna, request({ volumes: [{ name: "etc" }] }))).rejects.toMatchObject({
      reason: "UNKNOWN_VOLUME",
      metadata: { field: "spec.volumes" },
    });
    await expect(
      submits.one(anna, request({ dependencies: [{ kind: "KIND_AFTER", taskId: "9" }] }, { dryRun: true })),
    ).rejects.toMatchObject({ reason: "DEPENDENCY_NOT_FOUND" });
    expect(await submits.one(anna, request({}, { dryRun: true }))).toEqual({
      taskId: "",
      existing: false,
      warnings: [],
    });
    expect(calls).toEqual([]);
  });

  it("does not tell that a dependency is another's", async () => {
    const { submits } = world(() => ({
      code: "denied",
      reason: "DEPENDENCY_NOT_YOURS",
      message: "of ben",
      metadata: { task_id: "5" },
    }));
    await expect(submits.one(anna, request())).rejects.toMatchObject({
      code: "not-found",
      reason: "DEPENDENCY_NOT_FOUND",
    });
  });

  it("answers each of a batch in order, whatever became of the others", async () => {
    const { submits, calls } = world();
    const results = await submits.many(anna, [
      request(),
      request({ name: "a b" }),
      request({ volumes: [{ name: "etc" }] }),
      request({}, { dryRun: true }),
      request(),
    ]);
    expect(results.map((r) => r.failure?.metadata["field"] ?? r.taskId)).toEqual([
      "1",
      "tasks[1].spec.name",
      "tasks[2].spec.volumes",
      "",
      "2",
    ]);
    expect(calls.map((tasks) => tasks.length)).toEqual([2]);
  });

  it("cuts a batch by bytes, and keeps what was stored when a later part fails", async () => {
    const { submits, calls } = world((call) =>
      call === 2 ? new AppError("unavailable", "PEER_UNAVAILABLE", "gone") : undefined,
    );
    const large = request({ files: [{ path: "x", content: Buffer.alloc(3 * 1024 * 1024) }] });
    const results = await submits.many(anna, [large, large, large, large]);
    expect(calls.map((tasks) => tasks.length)).toEqual([2, 2]);
    expect(results.map((r) => r.failure?.code ?? r.taskId)).toEqual(["1", "2", "unavailable", "unavailable"]);
  });

  it("measures texts in bytes, not in letters", async () => {
    const { submits, calls } = world();
    const text = "€".repeat(340 * 1024); // as UTF-8 nearly 1 MiB
    await submits.many(anna, Array<SubmitTaskRequest>(10).fill(request({ command: [], script: text })));
    const sizes = calls.map((tasks) => tasks.reduce((sum, task) => sum + NewTask.encode(task).finish().length, 0));
    expect(Math.max(...sizes)).toBeLessThan(9 * 1024 * 1024);
  });

  it("takes what no known host is large enough for, and says so", async () => {
    const { submits } = world();
    const fits = [
      { cpuMilli: 2_000, memoryBytes: 4 * GiB },
      { cpuMilli: 1_000, memoryBytes: 8 * GiB },
    ];
    for (const resources of fits)
      expect(await submits.one(anna, request({ resources }))).toMatchObject({ warnings: [] });
    const tooLarge = request({ resources: { cpuMilli: 2_000, memoryBytes: 8 * GiB } });
    const warnings = [expect.stringContaining("no known host could take it: it asks for 2 cpu and 8G")];
    expect(await submits.one(anna, tooLarge)).toMatchObject({ taskId: "3", warnings });
    expect(await submits.one(anna, { ...tooLarge, dryRun: true })).toMatchObject({ taskId: "", warnings });
    expect(await submits.many(anna, [request(), tooLarge])).toMatchObject([{ warnings: [] }, { warnings }]);
  });
});
