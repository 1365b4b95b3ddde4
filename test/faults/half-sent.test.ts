import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect as connectSocket } from "node:net";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { coreUser, startCore, until } from "@berth/test-support";
import { expect, it } from "vitest";

const mostMessageBytes = 16 * 1024 * 1024;
const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;

/** Node's HTTP/2 closes a connection on which too much comes for streams that are closed. */
const closed = "closed";

/** Begins a message of 16 MiB and sends all of it but the last byte, as far as the other end takes it. */
function halfSend(session: ClientHttp2Session, path: string, authorization?: string): Promise<string> {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    "content-type": "application/grpc",
    te: "trailers",
    ...(authorization === undefined ? {} : { authorization }),
  });
  stream.on("error", () => {});
  stream.resume();
  const status = once(stream, "response").then(
    ([headers]) => String((headers as Record<string, string>)["grpc-status"]),
    () => closed,
  );
  const header = Buffer.alloc(5);
  header.writeUInt32BE(mostMessageBytes, 1);
  stream.write(header);
  for (let sent = 0; sent < 15; sent++) stream.write(Buffer.alloc(1024 * 1024));
  return status;
}

it("holds nothing of what strangers half send, and goes on answering its users", async () => {
  await using core = await startCore({ names: ["storage", "auth", "gateway", "scheduler", "watcher", "agent"] });
  const { berth } = await coreUser(core);
  const submit = async (id: string) =>
    (await berth.tasks.submitTask(SubmitTaskRequest.fromPartial({ requestId: id, spec: { command: ["true"] } })))
      .taskId;
  expect(await submit("a")).not.toBe("");
  const socket = core.addressOf("gateway").replace("unix:", "");
  const sessions: ClientHttp2Session[] = [];
  const open = (): ClientHttp2Session => {
    const session = connectHttp2("http://localhost", { createConnection: () => connectSocket(socket) });
    session.on("error", () => {});
    sessions.push(session);
    return session;
  };
  const silent = Array.from({ length: 200 }, () => connectSocket(socket));
  for (const each of silent) each.on("error", () => {});
  const before = residentMb(core.pidOf("gateway"));
  const attack = (path: string, authorization?: string) => {
    const from = Array.from({ length: 6 }, open);
    return Promise.all(Array.from({ length: 120 }, (_, n) => halfSend(from[n % from.length]!, path, authorization)));
  };

  const task = "/berth.api.v1.TaskService/SubmitTasks";
  // 16: unauthenticated. 3: too large for who has shown no credentials. 8: more than an address may have under way.
  for (const status of await attack(task)) expect(["16", closed]).toContain(status);
  for (const status of await attack(task, "Bearer berth_0123_no-key-at-all")) expect(["16", closed]).toContain(status);
  for (const status of await attack("/berth.api.v1.SessionService/Login")) expect(["3", "8", closed]).toContain(status);
  expect(await submit("b")).not.toBe("");
  await until(() => residentMb(core.pidOf("gateway")) - before < 80, "the gateway's memory to be what it was");

  for (const session of sessions) session.destroy();
  for (const each of silent) each.destroy();
  berth.close();
});
