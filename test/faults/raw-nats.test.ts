import { readFileSync } from "node:fs";
import { join } from "node:path";
import { subjects } from "@berth/contracts";
import { AssignRequest, ReportRequest, SyncRequest } from "@berth/contracts/agent";
import { ListHostsResponse } from "@berth/contracts/api";
import { Host, Outcome } from "@berth/contracts/types";
import { apiOf, startCluster, submit, whenOver } from "@berth/test-support";
import { connect, headers } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";

/** What a program may say that has the credentials of an agent, or of the control plane, and speaks NATS. */
describe("a raw NATS client", () => {
  it("crashes nothing and is believed nothing with messages that no agent and no watcher sends", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const { natsPort } = JSON.parse(readFileSync(cluster.layout.clusterFile, "utf8")) as { natsPort: number };
    const hosts = async () => ListHostsResponse.fromJSON(await cluster.json(["hosts"])).hosts;
    const [before] = await hosts();
    const host = before!.id;
    const pids = () => (["watcher", "scheduler", "storage", "agent"] as const).map((name) => cluster.pidOf(name));
    const pidsBefore = pids();
    const open = (user: "agent" | "control") =>
      connect({
        servers: `127.0.0.1:${natsPort}`,
        user,
        pass: readFileSync(join(cluster.layout.secrets, `nats-${user}`), "utf8").trim(),
        ...(user === "agent" ? { inboxPrefix: `_INBOX_${host}` } : {}),
      });
    const nats = await open("control");
    const ask = async (subject: string, type: string | undefined, bytes: Uint8Array): Promise<string> => {
      const header = headers();
      if (type !== undefined) header.set("berth-type", type);
      try {
        const reply = await nats.request(subject, bytes, { headers: header, timeout: 5_000 });
        const error = reply.headers?.get("berth-error");
        return error ? String((JSON.parse(error) as { reason: string }).reason) : "answered";
      } catch (error) {
        return String((error as Error).name);
      }
    };
    const refusals = ["MESSAGE_TYPE", "MESSAGE_UNREADABLE", "INVALID_FIELD", "SYNC_WITHOUT_HOST", "WRONG_HOST"];
    const run = (taskId: string, attempt = 1) => ({ epoch: "e", taskId, attempt });
    const random = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 7919 + length * 31) % 256);
    const { assign, report, sync } = subjects;
    for (const { type, of } of [assign, report, sync])
      for (const bytes of [
        random(0),
        random(1),
        random(7),
        random(300),
        random(70_000),
        new Uint8Array(1_000).fill(0xff),
      ])
        for (const said of [undefined, "", "berth.agent.v1.Nonsense", type]) {
          const answer = await ask(of(host), said, bytes);
          // Empty bytes are an empty message, which some may send.
          if (bytes.length > 0 || said !== type) expect([...refusals, "answered"]).toContain(answer);
          if (said !== type) expect(answer).toBe("MESSAGE_TYPE");
        }
    const bad: readonly [string, Uint8Array][] = [
      [sync.of(host), SyncRequest.encode(SyncRequest.fromPartial({})).finish()],
      ...[
        { id: "another" },
        { id: host, driver: "\u001b[2Jx" },
        { id: host, version: "v".repeat(100_000) },
        { id: host, capacity: { cpuMilli: -1, memoryBytes: 1 } },
        { id: host, unknownRuns: [run("1"), run("../../etc")] },
      ].map((wish) => [sync.of(host), syncOf(wish)] as [string, Uint8Array]),
      ...[run("../x"), run("1.99999999999999999"), run("1", 0), { ...run("1"), epoch: "a b" }].map(
        (each) => [report.of(host), reportOf(host, each)] as [string, Uint8Array],
      ),
    ];
    for (const [subject, bytes] of bad)
      expect(refusals).toContain(await ask(subject, subject.endsWith("sync") ? sync.type : report.type, bytes));
    // What can be read and is another agent's word is not believed either.
    const forged = SyncRequest.encode(
      SyncRequest.fromPartial({
        host: Host.fromPartial({ id: host, driver: "sim", agentId: "forged", journalId: "x" }),
      }),
    ).finish();
    expect(await ask(sync.of(host), sync.type, forged)).toBe("answered");
    for (const taskId of ["../../../tmp/x", "1\n2", "", "1"]) {
      const assignment = { run: run(taskId), specIndex: taskId === "1" ? 7 : 0, journalId: before!.journalId };
      const bytes = AssignRequest.encode(
        AssignRequest.fromPartial({
          term: 1,
          specs: [{ spec: { command: ["sleep", "60"] } }],
          assignments: [assignment],
        }),
      ).finish();
      expect(await ask(assign.of(host), assign.type, bytes)).toBe("answered");
    }
    for (let n = 0; n < 500; n++) nats.publish(subjects.wake.of(host), random(n));
    await nats.flush();
    // An agent's credentials reach the watchers, and not other agents.
    const agent = await open("agent");
    const errors: string[] = [];
    void (async () => {
      for await (const status of agent.status()) if (status.type === "error") errors.push(String(status.error));
    })();
    agent.publish("$SYS.REQ.SERVER.PING");
    agent.publish("berth.v1.anything");
    await agent.flush();
    await expect.poll(() => errors.length).toBeGreaterThanOrEqual(2);

    const id = await submit(api, { command: ["echo", "well"] });
    expect(await whenOver(api, id)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    expect(pids()).toEqual(pidsBefore);
    const [after, ...more] = await hosts();
    expect(more).toEqual([]);
    expect(after).toMatchObject({
      agentId: before!.agentId,
      journalId: before!.journalId,
      driver: "process",
      unknownRuns: [],
    });
    await Promise.all([nats.close(), agent.close()]);
    api.close();
  });
});

const syncOf = (host: Partial<Host>): Uint8Array =>
  SyncRequest.encode({ ...SyncRequest.fromPartial({}), host: { ...Host.fromPartial({}), ...host } }).finish();

const reportOf = (hostId: string, run: { epoch: string; taskId: string; attempt: number }): Uint8Array =>
  ReportRequest.encode(ReportRequest.fromPartial({ hostId, journalId: "j", statuses: [{ run }] })).finish();
