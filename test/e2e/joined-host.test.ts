import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { serviceAccess, serviceDnsName, subjects } from "@berth/contracts";
import { RunPhase, ReportReply, ReportRequest } from "@berth/contracts/agent";
import { ListHostsResponse, GetTaskResponse } from "@berth/contracts/api";
import { AppendLogRequest, FileStoreServiceService, LogStream } from "@berth/contracts/store";
import { HostStatus, Outcome, Task, TaskState } from "@berth/contracts/types";
import { loginOptions } from "@berth/nats";
import { startInitialisedCluster, until } from "@berth/test-support";
import type { InitialisedCluster } from "@berth/test-support";
import { connect, headers } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** So short that a certificate ends under the test, and is renewed before. */
const lifeMs = 20_000;
const A = "Node_A";
const B = "node-b";

/** What the credentials of a host are good for: its own work, for as long as it is not revoked. */
describe("a host that joined", () => {
  let cluster: InitialisedCluster;
  const etc = (name: string) => join(cluster.dir, "hosts", name);
  const identity = (name: string) => join(etc(name), "identity");

  async function joinAs(name: string, dir: string, ...tokenOptions: string[]): Promise<void> {
    const made = await cluster.berth(["host", "token", "--json", ...tokenOptions]);
    const { token } = JSON.parse(made.stdout) as { token: string };
    const words = [
      "--name",
      name,
      "--dir",
      etc(dir),
      "--driver",
      "process",
      "--data-dir",
      join(cluster.dir, `agent-${dir}`),
    ];
    const joined = await cluster.berth(["agent", "join", cluster.addresses.gateway, token, ...words]);
    expect(joined, joined.stderr).toMatchObject({ code: 0 });
  }
  const startAgent = (dir: string) =>
    cluster.start(`agent-${dir}`, ["serve", "agent", "--env", join(etc(dir), "service.env")], {
      BERTH_RUN_DIR: cluster.dir,
      BERTH_CAPACITY_CPU: "1",
    });
  const isUp = async (name: string): Promise<boolean> => {
    const { stdout } = await cluster.berth(["hosts", "--json"]);
    return ListHostsResponse.fromJSON(JSON.parse(stdout)).hosts.some(
      ({ id, status }) => id === name && status === HostStatus.UP,
    );
  };
  const show = async (id: string): Promise<Task> => {
    const { stdout } = await cluster.berth(["show", id, "--json"]);
    return GetTaskResponse.fromJSON(JSON.parse(stdout)).task ?? Task.fromJSON(JSON.parse(stdout));
  };
  /** A task that runs for a while, on each of the two: each has one core. */
  async function oneOnEach(command: string): Promise<Record<string, string>> {
    const on: Record<string, string> = {};
    for (const _ of [A, B]) {
      const { stdout } = await cluster.berth(["submit", "--cpu", "1", "--", "sh", "-c", command]);
      const id = stdout.trim();
      await until(async () => (await show(id)).state === TaskState.RUNNING, `task ${id} to run`);
      on[(await show(id)).hostId] = id;
    }
    expect(Object.keys(on).toSorted()).toEqual([A, B]);
    return on;
  }

  beforeAll(async () => {
    cluster = await startInitialisedCluster({ BERTH_HOST_CERTIFICATE_MS: String(lifeMs) });
    mkdirSync(join(cluster.dir, "hosts"), { mode: 0o711 });
    for (const name of [A, B]) {
      await joinAs(name, name);
      await startAgent(name);
    }
    await until(async () => (await isUp(A)) && (await isUp(B)), "both hosts to be up");
  }, 120_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  it("renews its certificate and its account under running tasks, without a restart", async () => {
    const endOf = () => new Date(new X509Certificate(leafOf(identity(A))).validTo).getTime();
    const first = endOf();
    const pids = [A, B].map((name) => cluster.pidOf(`agent-${name}`));
    const on = await oneOnEach("for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $n; sleep 2; done");
    await until(() => endOf() > first, "the certificate to be renewed", lifeMs);
    await until(() => Date.now() > first + 1_000, "the first certificate to end", lifeMs);
    for (const id of Object.values(on)) {
      await until(async () => (await show(id)).state === TaskState.OVER, `task ${id} to end`);
      const task = await show(id);
      expect(task).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      expect((await cluster.berth(["logs", id])).stdout).toBe(
        "1 2 3 4 5 6 7 8 9 10 11 12".replaceAll(" ", "\n") + "\n",
      );
    }
    expect([A, B].map((name) => cluster.pidOf(`agent-${name}`))).toEqual(pids);
    // Long after the first certificate's end, by connections that are made now.
    expect(await cluster.berth(["run", "-q", "--", "echo", "still"])).toMatchObject({ code: 0, stdout: "still\n" });
  });

  it("reads, forges and commands nothing of another host on the bus", async () => {
    const nats = await busOf(A);
    const faults: string[] = [];
    void (async () => {
      for await (const status of nats.status()) if (status.type === "error") faults.push(String(status.error));
    })();
    const heard: string[] = [];
    const { assign, report, sync, wake } = subjects;
    const others = [assign, report, sync, wake].map(({ of }) => of(B));
    const reads = [
      ...others,
      ...[assign, report, sync, wake].map(({ all }) => all),
      sync.of(A),
      ">",
      "*.>",
      "_INBOX.>",
      "_INBOX.scheduler.>",
      `_INBOX_${B}.>`,
      "$SYS.>",
    ];
    for (const subject of reads)
      nats.subscribe(subject, { callback: (error, message) => void (error ?? heard.push(message.subject)) });
    const writes = [
      ...others,
      assign.of(A),
      wake.of(A),
      "berth.v1.anything",
      "_INBOX.scheduler.x",
      `_INBOX_${B}.x`,
      "$SYS.REQ.CLAIMS.UPDATE",
      "$SYS.REQ.SERVER.PING",
    ];
    for (const subject of writes) nats.publish(subject, "x");
    await nats.flush();
    await expect
      .poll(() => faults.filter((fault) => /Publish/.test(fault)).length, { timeout: 5_000 })
      .toBe(writes.length);
    for (const subject of reads)
      expect(
        faults.some((fault) => fault.includes(`Subscription to "${subject}"`)),
        subject,
      ).toBe(true);
    // And while there is something to hear.
    expect(await cluster.berth(["run", "-q", "--", "echo", "heard by its own host"])).toMatchObject({ code: 0 });
    expect(heard).toEqual([]);
    await nats.close();
  });

  it("ends no other host's run, and adds nothing to its output", async () => {
    const on = await oneOnEach("sleep 6; echo done");
    const epoch = /"epoch":"([^"]+)"/.exec(cluster.logOf("storage"))?.[1] ?? (await epochOf());
    const run = { epoch, taskId: on[B]!, attempt: 1 };
    const nats = await busOf(A);
    const header = headers();
    header.set("berth-type", subjects.report.type);
    const said = ReportRequest.fromPartial({
      hostId: A,
      journalId: "j",
      statuses: [{ run, phase: RunPhase.ENDED, outcome: Outcome.SUCCEEDED }],
    });
    const reply = await nats.request(subjects.report.of(A), ReportRequest.encode(said).finish(), {
      headers: header,
      timeout: 5_000,
    });
    expect(reply.headers?.get("berth-error") ?? "").toBe("");
    expect(ReportReply.decode(reply.data).answers).not.toContain(1); // committed
    await nats.close();

    const append = (taskId: string) =>
      callAs(
        identity(A),
        "storage",
        FileStoreServiceService.appendLog.path,
        AppendLogRequest.encode({
          run: { ...run, taskId },
          stream: LogStream.STDOUT,
          offset: 0,
          content: Buffer.from("forged"),
        }).finish(),
      );
    expect(await append(on[B]!)).toMatch(/not placed on the host of agent\/Node_A/);
    expect(await append(on[A]!)).toBe("answered");
    await until(async () => (await show(on[B]!)).state === TaskState.OVER, "the task to end");
    expect(await show(on[B]!)).toMatchObject({ outcome: Outcome.SUCCEEDED });
    expect((await cluster.berth(["logs", on[B]!])).stdout).toBe("done\n");

    async function epochOf(): Promise<string> {
      const bus = await busOf(A);
      const ask = headers();
      ask.set("berth-type", subjects.sync.type);
      const { SyncReply, SyncRequest } = await import("@berth/contracts/agent");
      const { Host } = await import("@berth/contracts/types");
      const host = { ...Host.fromPartial({ id: A, driver: "process", agentId: "another", journalId: "j" }) };
      const answer = await bus.request(
        subjects.sync.of(A),
        SyncRequest.encode({ ...SyncRequest.fromPartial({}), host }).finish(),
        { headers: ask, timeout: 5_000 },
      );
      await bus.close();
      return SyncReply.decode(answer.data).epoch;
    }
  });

  it("reaches no task store, no auth call and no other service", async () => {
    const addressOf = { store: "storage", auth: "auth", schedule: "scheduler", health: "watcher" } as const;
    let refused = 0;
    for (const [path, roles] of Object.entries(serviceAccess)) {
      if (roles.includes("agent")) continue;
      const subject = /^\/berth\.(store|auth|schedule|health)\./.exec(path)![1] as keyof typeof addressOf;
      expect(await callAs(identity(A), addressOf[subject], path, new Uint8Array()), path).toBe(
        `agent/${A} may not call ${path}`,
      );
      refused += 1;
    }
    expect(refused).toBeGreaterThan(35);
    // Its certificate is no user's at the public door.
    const gateway = await callAs(identity(A), "gateway", "/berth.api.v1.TaskService/ListTasks", new Uint8Array());
    expect(gateway).toMatch(/access token or API key/);
  });

  it("is nobody any more once it is revoked, and may come back by a token for its name", async () => {
    cpSync(identity(A), join(etc("stolen"), "identity"), { recursive: true });
    const nats = await busOf("stolen", A);
    const ended = nats.closed();
    const at = Date.now();
    expect(await cluster.berth(["host", "revoke", A])).toMatchObject({ code: 0 });
    await expect(
      Promise.race([
        ended,
        new Promise((_, fail) => setTimeout(() => fail(new Error("still connected")), 5_000).unref()),
      ]),
    ).resolves.toBeDefined();
    const append = () =>
      callAs(
        identity("stolen"),
        "storage",
        FileStoreServiceService.appendLog.path,
        AppendLogRequest.encode(AppendLogRequest.fromPartial({})).finish(),
      );
    await expect.poll(append, { timeout: 10_000 }).toMatch(/is revoked/);
    expect(Date.now() - at).toBeLessThan(10_000);
    await expect(busOf("stolen", A)).rejects.toThrow(/Authorization|Revoked/i);
    const renewal = await cluster.berth(["host", "revoke", "nobody"]);
    expect(renewal).toMatchObject({ code: 3 });
    await until(() => /are revoked/.test(cluster.logOf(`agent-${A}`)), "its agent to be refused a renewal", lifeMs * 2);

    await cluster.stop(`agent-${A}`);
    await joinAs(A, A, "--host", A);
    await startAgent(A);
    expect(
      await callAs(
        identity(A),
        "storage",
        FileStoreServiceService.appendLog.path,
        AppendLogRequest.encode(AppendLogRequest.fromPartial({})).finish(),
      ),
    ).toMatch(/must be stdout or stderr/);
    await until(() => isUp(A), "the host to be back");
    // What was revoked stays so, also for nats-server that comes back and knows nothing.
    await expect(busOf("stolen", A)).rejects.toThrow(/Authorization|Revoked/i);
  });

  const busOf = (dir: string, host = dir): Promise<NatsConnection> =>
    connect({
      servers: cluster.addresses.nats,
      ...loginOptions({ identityDir: identity(dir), inboxPrefix: `_INBOX_${host}` }),
      timeout: 3_000,
      reconnect: false,
    });

  /** What a service says to a raw client with that identity: "answered", or its words. */
  function callAs(
    dir: string,
    service: keyof InitialisedCluster["addresses"],
    path: string,
    message: Uint8Array,
  ): Promise<string> {
    const pem = readFileSync(join(dir, "identity.pem"));
    const tls = credentials.createSsl(readFileSync(join(dir, "ca.pem")), pem, pem);
    const role = service === "nats" ? "storage" : service;
    const client = new Client(cluster.addresses[service], tls, {
      "grpc.ssl_target_name_override": serviceDnsName(role),
    });
    return new Promise((resolve) => {
      const done = (error: ServiceError | null): void => {
        client.close();
        resolve(error ? error.details : "answered");
      };
      client.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes) => bytes,
        message,
        new Metadata(),
        { deadline: Date.now() + 5_000 },
        done,
      );
    });
  }
});

function leafOf(dir: string): string {
  const pem = readFileSync(join(dir, "identity.pem"), "utf8");
  return pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----"));
}
