import { decodeStatusDetails, detailsKey } from "@berth/contracts";
import { ListTasksRequest, ReadLogRequest, SubmitTaskRequest, WatchTasksRequest } from "@berth/contracts/api";
import { apiOf, startCluster, submit } from "@berth/test-support";
import type { Api, TestCluster, Wish } from "@berth/test-support";
import { Metadata } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** What a caller is told: gRPC code, reason and field. */
async function refusal(
  call: (options: { onTrailer(trailer: Metadata): void }) => Promise<unknown>,
): Promise<{ code: number; reason: string; field: string; message: string }> {
  let trailer = Metadata();
  try {
    await call({ onTrailer: (got) => (trailer = got) });
  } catch (error) {
    const { code, details } = error as { code: number; details: string };
    const bytes = trailer.get(detailsKey);
    const found = bytes ? decodeStatusDetails(bytes) : undefined;
    return { code, reason: found?.reason ?? "", field: found?.metadata["field"] ?? "", message: details };
  }
  throw new Error("it was accepted");
}

describe("bad input", () => {
  let cluster: TestCluster;
  let api: Api;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
    api = apiOf(cluster);
  });
  afterAll(async () => {
    api?.close();
    await cluster?.close();
  });

  const wishes: readonly [string, Wish, string][] = [
    ["no command and no script", {}, "spec.command"],
    ["a command and a script", { command: ["true"], script: "true" }, "spec.script"],
    ["an empty command word", { command: [""] }, "spec.command"],
    ["a NUL in the command", { command: ["echo", "a\0b"] }, "spec.command"],
    ["a name with a slash", { command: ["true"], name: "a/b" }, "spec.name"],
    ["a name too long", { command: ["true"], name: "x".repeat(129) }, "spec.name"],
    ["no cpu", { command: ["true"], resources: { cpuMilli: -1, memoryBytes: 2 ** 28 } }, "spec.resources.cpu_milli"],
    [
      "too little memory",
      { command: ["true"], resources: { cpuMilli: 1000, memoryBytes: 1000 } },
      "spec.resources.memory_bytes",
    ],
    [
      "a bad environment name",
      { command: ["true"], env: { "A=B": "c" } as unknown as NonNullable<Wish["env"]> },
      "spec.env",
    ],
    ["a reserved environment name", { command: ["true"], env: { BERTH_TASK_ID: "1" } }, "spec.env"],
    ["an unknown volume", { command: ["true"], volumes: [{ name: "nowhere" }] }, "spec.volumes"],
    ["a relative workdir", { command: ["true"], workdir: "here" }, "spec.workdir"],
    ["a priority too high", { command: ["true"], priority: 101 }, "spec.priority"],
    ["an array backwards", { command: ["true"], array: { first: 5, last: 1, step: 1 } }, "spec.array"],
    ["an array without a step", { command: ["true"], array: { first: 1, last: 5, step: 0 } }, "spec.array"],
    [
      "a dependency on nothing",
      { command: ["true"], dependencies: [{ kind: "KIND_AFTER", taskId: "x" }] },
      "spec.dependencies",
    ],
    ["a dependency without a kind", { command: ["true"], dependencies: [{ taskId: "1" }] }, "spec.dependencies"],
    ["a negative time limit", { command: ["true"], timeLimitMs: -1 }, "spec.time_limit_ms"],
    ["a negative grace", { command: ["true"], graceMs: -1 }, "spec.grace_ms"],
    [
      "a file that leaves the directory",
      { command: ["true"], files: [{ path: "../x", content: Buffer.from("x") }] },
      "spec.files",
    ],
    [
      "a file at an absolute path",
      { command: ["true"], files: [{ path: "/etc/x", content: Buffer.from("x") }] },
      "spec.files",
    ],
    [
      "too many dependencies",
      {
        command: ["true"],
        dependencies: Array.from({ length: 101 }, (_, i) => ({ kind: "KIND_AFTER" as const, taskId: String(i + 1) })),
      },
      "spec.dependencies",
    ],
  ];

  it.each(wishes)("refuses %s, naming the field, and stores nothing", async (_, spec, field) => {
    const before = await total();
    const told = await refusal((options) =>
      api.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec: spec as never }), options),
    );
    expect(told.code).toBe(3);
    expect(told.reason).toMatch(/^[A-Z][A-Z0-9_]+$/);
    expect(told.field).toContain(field);
    expect(told.message.length).toBeGreaterThan(field.length);
    expect(await total()).toBe(before);
  });

  it("refuses a bad item of a batch by itself and stores the others", async () => {
    const before = await total();
    const { results } = await api.tasks.submitTasks({
      tasks: [{ command: ["true"] }, {}, { command: ["true"] }].map((spec) => SubmitTaskRequest.fromPartial({ spec })),
    });
    expect(results.map((r) => r.failure?.code ?? "stored")).toEqual(["stored", "invalid", "stored"]);
    expect(results[1]!.failure!.metadata["field"]).toContain("tasks[1].spec");
    expect(await total()).toBe(before + 2);
  });

  it("says the same of the same request id, and refuses it for another spec", async () => {
    const request = SubmitTaskRequest.fromPartial({ spec: { command: ["true"] }, requestId: "once" });
    const first = await api.tasks.submitTask(request);
    expect(await api.tasks.submitTask(request)).toEqual({ taskId: first.taskId, existing: true, warnings: [] });
    const told = await refusal((options) =>
      api.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec: { command: ["false"] }, requestId: "once" }), options),
    );
    expect(told).toMatchObject({ code: 10, reason: "CLIENT_KEY_CONFLICT" });
  });

  it("refuses what is wrong in every other call", async () => {
    const id = await submit(api, { command: ["true"] });
    const drain = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    };
    const calls: readonly [string, number, (options: { onTrailer(trailer: Metadata): void }) => Promise<unknown>][] = [
      ["getTask", 3, (o) => api.tasks.getTask({ taskId: "seventeen" }, o)],
      ["getTask of none", 5, (o) => api.tasks.getTask({ taskId: "999999" }, o)],
      ["getTask of no element", 5, (o) => api.tasks.getTask({ taskId: `${id}.3` }, o)],
      ["listTasks page size", 3, (o) => api.tasks.listTasks(ListTasksRequest.fromPartial({ pageSize: 5000 }), o)],
      [
        "listTasks page token",
        3,
        (o) => api.tasks.listTasks(ListTasksRequest.fromPartial({ pageToken: "made up" }), o),
      ],
      ["listTasks array", 3, (o) => api.tasks.listTasks(ListTasksRequest.fromPartial({ arrayId: "1.2.3" }), o)],
      ["watchTasks ids", 3, (o) => drain(api.tasks.watchTasks(WatchTasksRequest.fromPartial({ taskIds: ["x"] }), o))],
      ["readLog id", 3, (o) => drain(api.tasks.readLog(ReadLogRequest.fromPartial({ taskId: "" }), o))],
      [
        "readLog attempt",
        3,
        (o) => drain(api.tasks.readLog(ReadLogRequest.fromPartial({ taskId: id, attempt: -1 }), o)),
      ],
      ["requestTasks without ids", 3, (o) => api.tasks.requestTasks({ taskIds: [], request: "TASK_REQUEST_KILL" }, o)],
      [
        "requestTasks for nothing",
        3,
        (o) => api.tasks.requestTasks({ taskIds: [id], request: "TASK_REQUEST_UNSPECIFIED" }, o),
      ],
      ["explainTask", 3, (o) => api.tasks.explainTask({ taskId: "-1" }, o)],
      ["listFiles outside", 3, (o) => api.files.listFiles({ taskId: id, path: "../.." }, o)],
      ["getFile outside", 3, (o) => drain(api.files.getFile({ taskId: id, path: "../1.out" }, o))],
      ["createKey name", 3, (o) => api.session.createKey({ name: "x".repeat(65), ttlMs: 0 }, o)],
      ["revokeKey", 5, (o) => api.session.revokeKey({ user: "", id: "nope" }, o)],
      [
        "createUser",
        3,
        (o) =>
          api.session.createUser(
            {
              user: {
                name: "Not A Name",
                identity: undefined,
                role: "ROLE_USER",
                home: "",
                email: "",
                disabled: false,
                createTime: undefined,
              },
              password: "long enough",
            },
            o,
          ),
      ],
      [
        "createUser password",
        3,
        (o) =>
          api.session.createUser(
            {
              user: {
                name: "shorty",
                identity: undefined,
                role: "ROLE_USER",
                home: "",
                email: "",
                disabled: false,
                createTime: undefined,
              },
              password: "short",
            },
            o,
          ),
      ],
    ];
    const told = await Promise.all(
      calls.map(async ([name, code, call]) => ({
        name,
        code,
        got: await refusal(call).catch((error: Error) => ({ code: error.message, reason: "" })),
      })),
    );
    expect(told.filter(({ code, got }) => got.code !== code || !/^[A-Z][A-Z0-9_]+$/.test(got.reason))).toEqual([]);
  });

  it.each<[string[], RegExp]>([
    [["run", "--cpu", "lots", "--", "true"], /cpu/],
    [["run", "--mem", "1", "--", "true"], /mem/],
    [["run", "--time", "soon", "--", "true"], /time/],
    [["run", "--env", "novalue=", "--env", "1BAD=x", "--", "true"], /env/],
    [["run", "--volume", "scratch:rx", "--", "true"], /volume/],
    [["run", "--array", "9-1", "--", "true"], /array/],
    [["run", "--after", "x", "--", "true"], /after/],
    [["run", "--priority", "high", "--", "true"], /priority/],
    [["run", "--workdir", "here", "--", "true"], /workdir/],
    [["run"], /command|script/],
    [["run", "--uid", "0", "--", "true"], /uid/],
    [["submit", "--nope", "--", "true"], /nope/],
    [["show", "seventeen"], /seventeen/],
    [["kill"], /id|name|all/],
    [["ls", "--state", "asleep"], /state/],
    [["logs", "1.x"], /1\.x/],
    [["wait"], /id/],
    [["user", "add", "Not A Name"], /name/],
    [["shwo", "1"], /show/],
  ])("`berth %s` exits 2 and says what is wrong", async (args, what) => {
    const before = await total();
    const ran = await cluster.berth(args);
    expect(ran.stderr).toMatch(what);
    expect(ran.code).toBe(2);
    expect(await total()).toBe(before);
  });

  it("exits 3 for what is not there and 5 where no cluster answers, saying what would help", async () => {
    expect((await cluster.berth(["show", "999999"])).code).toBe(3);
    const away = await cluster.berth(["ls"], { env: { BERTH_SERVER: "127.0.0.1:1", BERTH_KEY: "berth_x_y" } });
    expect(away.code).toBe(5);
    expect(away.stderr).toMatch(/berth (up|login)/);
  });

  async function total(): Promise<number> {
    return (await api.tasks.listTasks(ListTasksRequest.fromPartial({ all: true, pageSize: 1000 }))).tasks.length;
  }
});
