import { readFileSync } from "node:fs";
import { access } from "@berth/contracts";
import type { Method } from "@berth/contracts";
import {
  CreateUserRequest,
  FileServiceService,
  HostServiceService,
  ListTasksRequest,
  SessionServiceService,
  TaskServiceService,
} from "@berth/contracts/api";
import { Role } from "@berth/contracts/auth";
import { MiB } from "@berth/core";
import { Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import { apiOf, connectApi, getTask, readLog, startCluster, submit, until, whenRunning } from "@berth/test-support";
import type { Api, TestCluster } from "@berth/test-support";
import { Client as PlainClient, credentials, Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const small = { cpuMilli: 100, memoryBytes: 16 * MiB };
const codes = { invalid: 3, notFound: 5, denied: 7, unauthenticated: 16 };

describe("two users", () => {
  let cluster: TestCluster;
  let admin: Api;
  let ann: Api;
  let bob: Api;
  let server: string;
  let annKey: string;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
    admin = apiOf(cluster);
    ({ server } = JSON.parse(readFileSync(cluster.layout.clientFile, "utf8")) as { server: string });
    const add = async (name: string) =>
      (
        await admin.session.createUser(
          CreateUserRequest.fromPartial({ user: { name, role: Role.USER }, password: "long enough for all" }),
        )
      ).key;
    annKey = await add("ann");
    ann = connectApi(server, annKey);
    bob = connectApi(server, await add("bob"));
  });
  afterAll(async () => {
    for (const api of [admin, ann, bob]) api?.close();
    await cluster?.close();
  });

  it("cannot read, list, watch, kill or follow each other's tasks and files", async () => {
    const id = await submit(ann, {
      command: ["sh", "-c", "echo secret; echo x > mine; sleep 60"],
      name: "anns",
      resources: small,
    });
    await whenRunning(ann, id);
    const refusals = await Promise.all(
      [
        () => bob.tasks.getTask({ taskId: id }),
        () => bob.tasks.explainTask({ taskId: id }),
        () => readLog(bob, id),
        () => bob.files.listFiles({ taskId: id, path: "" }),
        async () => {
          for await (const _ of bob.files.getFile({ taskId: id, path: "mine" }));
        },
        () =>
          bob.files.addFile(
            (async function* () {
              yield { taskId: id, path: "planted", executable: false, content: Buffer.from("x") };
            })(),
          ),
      ].map((call) =>
        call().then(
          () => "allowed",
          (error: { code?: number }) => error.code,
        ),
      ),
    );
    expect(refusals).toEqual(refusals.map(() => codes.notFound));
    const { results } = await bob.tasks.requestTasks({ taskIds: [id], request: TaskRequest.KILL });
    expect(results[0]?.failure?.code).toBe("not-found");
    expect((await bob.tasks.listTasks(ListTasksRequest.fromPartial({ all: true }))).tasks).toEqual([]);
    await expect(bob.tasks.listTasks(ListTasksRequest.fromPartial({ user: "ann" }))).rejects.toMatchObject({
      code: codes.denied,
    });
    await expect(bob.tasks.listTasks(ListTasksRequest.fromPartial({ user: "*" }))).rejects.toMatchObject({
      code: codes.denied,
    });
    await expect(
      submit(bob, { command: ["true"], dependencies: [{ kind: "KIND_AFTER", taskId: id }] }),
    ).rejects.toMatchObject({ code: codes.notFound });
    expect((await getTask(ann, id)).state).toBe(TaskState.RUNNING);
    expect((await ann.files.listFiles({ taskId: id, path: "" })).entries.map((e) => e.name)).toEqual(["mine"]);
    await admin.tasks.requestTasks({ taskIds: [id], request: TaskRequest.KILL });
  });

  it("run as different uids, none of them root", async () => {
    const uid = async (api: Api) =>
      (await readLog(api, await submit(api, { command: ["id", "-u"], resources: small }))).trim();
    const [a, b] = [await uid(ann), await uid(bob)];
    if (process.getuid?.() === 0) expect(new Set([a, b, "0"]).size).toBe(3);
  });

  it("log in by password and by key, and a revoked key is refused", async () => {
    const nobody = connectApi(server, undefined);
    const { accessToken } = await nobody.session.login({ user: "ann", password: "long enough for all", key: "" });
    const withToken = connectApi(server, accessToken);
    expect((await withToken.session.whoAmI({})).user?.name).toBe("ann");
    await expect(nobody.session.login({ user: "ann", password: "wrong password!", key: "" })).rejects.toMatchObject({
      code: codes.unauthenticated,
    });
    await expect(
      nobody.session.login({ user: "nobody-here", password: "wrong password!", key: "" }),
    ).rejects.toMatchObject({ code: codes.unauthenticated });
    const { key, info } = await withToken.session.createKey({ name: "laptop", ttlMs: 0 });
    const withKey = connectApi(server, key);
    expect((await withKey.session.whoAmI({})).user?.name).toBe("ann");
    expect(JSON.stringify((await ann.session.listKeys({ user: "" })).keys)).not.toContain(key);
    await withToken.session.revokeKey({ user: "", id: info!.id });
    const later = connectApi(server, key);
    await expect
      .poll(
        () =>
          later.session.whoAmI({}).then(
            () => 0,
            (error: { code?: number }) => error.code,
          ),
        { timeout: 20_000 },
      )
      .toBe(codes.unauthenticated);
    for (const api of [nobody, withToken, withKey, later]) api.close();
  });

  it("lose their streams and sessions within seconds of a revoked key or of being disabled", async () => {
    const { key: annsKey, info } = await ann.session.createKey({ name: "watcher", ttlMs: 0 });
    const bobsKey = (await bob.session.createKey({ name: "watcher", ttlMs: 0 })).key;
    const nobody = connectApi(server, undefined);
    const { accessToken } = await nobody.session.login({ user: "", password: "", key: annsKey });
    const apis = [annsKey, accessToken, bobsKey].map((credential) => connectApi(server, credential));
    const ends = apis.map(async (api) => {
      for await (const _ of api.tasks.watchTasks({ token: "", user: "", taskIds: [] }));
    });
    const codesOf = Promise.all(ends.map((end) => end.catch((error: { code?: number }) => error.code)));
    await expect(bob.session.listKeys({ user: "ann" })).rejects.toMatchObject({ code: codes.denied });
    await expect(bob.session.revokeKey({ user: "ann", id: info!.id })).rejects.toMatchObject({ code: codes.denied });
    await expect(bob.session.setUserDisabled({ user: "ann", disabled: true })).rejects.toMatchObject({
      code: codes.denied,
    });
    expect((await admin.session.listKeys({ user: "ann" })).keys.map(({ id }) => id)).toContain(info!.id);
    await admin.session.revokeKey({ user: "ann", id: info!.id });
    await admin.session.setUserDisabled({ user: "bob", disabled: true });
    const begun = performance.now();
    expect(await codesOf).toEqual([codes.unauthenticated, codes.unauthenticated, codes.unauthenticated]);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await expect(bob.session.whoAmI({})).rejects.toMatchObject({ code: codes.unauthenticated });
    await admin.session.setUserDisabled({ user: "bob", disabled: false });
    expect((await bob.session.whoAmI({})).user?.name).toBe("bob");
    for (const api of [nobody, ...apis]) api.close();
  });

  it("have no waiting task started while they are disabled, and all of them after", async () => {
    const after = async (command: string[]) => {
      const first = await submit(bob, { command: ["sleep", "2"], resources: small });
      const waiting = await submit(bob, {
        command,
        resources: small,
        dependencies: [{ kind: "KIND_AFTER", taskId: first }],
      });
      return { first, waiting };
    };
    const { first, waiting } = await after(["true"]);
    await whenRunning(bob, first);
    await admin.session.setUserDisabled({ user: "bob", disabled: true });
    const finished = async (id: string) => (await getTask(admin, id)).state === TaskState.OVER;
    await until(() => finished(first), "the running task to go on to its end");
    const code = async (id: string) => (await admin.tasks.explainTask({ taskId: id })).explanation?.code;
    await until(async () => (await code(waiting)) === "OWNER_DISABLED", "the reason");
    await cluster.kill("auth");
    await cluster.kill("scheduler");
    await until(async () => (await code(waiting).catch(() => "")) === "OWNER_DISABLED", "the reason after a restart");
    await submit(ann, { command: ["true"], resources: small }).then((id) =>
      until(() => finished(id), "another's task"),
    );
    expect((await getTask(admin, waiting)).state).toBe(TaskState.PENDING);
    await admin.session.setUserDisabled({ user: "bob", disabled: false });
    await until(() => finished(waiting), "the task of the enabled user");
    expect((await getTask(admin, waiting)).outcome).toBe(Outcome.SUCCEEDED);
  });

  it("lose all their tasks where the admin asks for that, too", async () => {
    const running = await submit(bob, { command: ["sleep", "60"], resources: small });
    const waiting = await submit(bob, {
      command: ["true"],
      resources: small,
      dependencies: [{ kind: "KIND_AFTER", taskId: running }],
    });
    const anns = await submit(ann, { command: ["sleep", "60"], resources: small });
    await whenRunning(bob, running);
    await whenRunning(ann, anns);
    const ran = await cluster.berth(["user", "disable", "bob", "--kill"]);
    expect(ran.code, ran.stderr).toBe(0);
    const outcome = async (id: string) => (await getTask(admin, id)).outcome;
    for (const id of [running, waiting]) await until(async () => (await outcome(id)) === Outcome.KILLED, "its kill");
    expect((await getTask(admin, anns)).state).toBe(TaskState.RUNNING);
    await admin.tasks.requestTasks({ taskIds: [anns], request: TaskRequest.KILL });
    await admin.session.setUserDisabled({ user: "bob", disabled: false });
  });

  it("make no key by a key that ends before it", async () => {
    const { key } = await ann.session.createKey({ name: "short", ttlMs: 60_000 });
    const short = connectApi(server, key);
    await expect(short.session.createKey({ name: "long", ttlMs: 0 })).rejects.toMatchObject({ code: codes.denied });
    short.close();
  });

  it("reach no RPC beyond the access table", async () => {
    const methods = [TaskServiceService, FileServiceService, HostServiceService, SessionServiceService].flatMap(
      (service) => Object.values(service),
    );
    const client = new PlainClient(server, credentials.createInsecure());
    const call = (path: string, metadata: Metadata) =>
      new Promise<number>((resolve) => {
        const stream = client.makeServerStreamRequest(
          path,
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
          Buffer.alloc(0),
          metadata,
        );
        stream.on("data", () => stream.cancel());
        stream.on("status", ({ code }: { code: number }) => resolve(code));
        stream.on("error", () => {});
      });
    const asUser = new Metadata();
    asUser.set("authorization", `Bearer ${annKey}`);
    for (const { path } of methods) {
      const rule = access[path as Method];
      // What anyone may call asks for its own proof: a password, or a host's token.
      const refused = await call(path, new Metadata());
      if (rule === "anyone") expect(refused, path).not.toBe(0);
      else expect(refused, path).toBe(codes.unauthenticated);
      if (rule === "admin") expect(await call(path, asUser), path).toBe(codes.denied);
    }
    client.close();
  });
});
