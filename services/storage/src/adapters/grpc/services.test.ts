import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { RunPhase } from "@berth/contracts/agent";
import { FileStoreServiceService, LogStream, TaskStoreServiceService } from "@berth/contracts/store";
import { openSqlite } from "@berth/database";
import { bindService, Closing, grpcChannel, grpcClient, serveGrpc, silentLogger } from "@berth/runtime";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diskFileStore } from "../disk/disk-file-store.ts";
import { migrations } from "../sqlite/schema.ts";
import { sqliteTaskStore } from "../sqlite/open-store.ts";
import { fileStoreService } from "./file-store-service.ts";
import { taskStoreService } from "./task-store-service.ts";

describe("storage over gRPC", () => {
  let closing: Closing;
  let dir: string;
  let clients: Awaited<ReturnType<typeof serve>>;
  beforeEach(async () => {
    closing = new Closing();
    dir = mkdtempSync(join(tmpdir(), "berth-storage-"));
    closing.add(() => rmSync(dir, { recursive: true, force: true }));
    clients = await serve();
  });
  afterEach(() => closing.close());

  async function serve() {
    const store = sqliteTaskStore(openSqlite(join(dir, "storage.db"), { migrations }), { now: Date.now });
    closing.add(() => store.close());
    const files = diskFileStore(join(dir, "files"));
    const services = [
      bindService(TaskStoreServiceService, taskStoreService(store, files)),
      bindService(FileStoreServiceService, fileStoreService({ store, files, now: Date.now, gapAfterMs: 200 })),
    ];
    const { address } = await serveGrpc({
      admit: () => ({ user: "a test" }),
      address: "127.0.0.1:0",
      services,
      logger: silentLogger,
      closing,
    });
    const channel = grpcChannel(address, { closing });
    return {
      files,
      epoch: store.epoch,
      tasks: grpcClient(TaskStoreServiceService, channel, { service: "storage" }),
      output: grpcClient(FileStoreServiceService, channel, { service: "storage" }),
    };
  }
  const submit = async (wishes: Parameters<typeof aNewTask>[0] = {}) =>
    (await clients.tasks.submit({ tasks: [aNewTask(wishes)] })).results[0]!;
  const file = (path: string) => ({ path, content: Buffer.from("hello"), executable: false });

  async function run(taskId: string): Promise<void> {
    await clients.tasks.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
    const { term } = await clients.tasks.acquireLease({ name: "scheduler", holder: "test", ttlMs: 60_000 });
    const { placementRefusals } = await clients.tasks.commitPlan({
      term,
      placements: [{ taskId, attempt: 1, hostId: "h1", journalId: "journal-h1" }],
      ends: [],
    });
    expect(placementRefusals).toEqual([""]);
  }
  const end = (taskId: string, stdoutBytes: number) =>
    clients.tasks.applyReports({
      reports: [
        {
          hostId: "h1",
          journalId: "journal-h1",
          statuses: [aStatus(clients.epoch, taskId, 1, RunPhase.ENDED, { logSizes: { stdoutBytes, stderrBytes: 0 } })],
        },
      ],
    });

  it("has a task's files in place before the task is there, and none of a task that was refused", async () => {
    const { taskId } = await submit({ files: [file("in.txt")] });
    expect(readFileSync(join(clients.files.getTaskDir(taskId), "in.txt"), "utf8")).toBe("hello");
    const { results } = await clients.tasks.submit({
      tasks: [
        aNewTask(),
        aNewTask({ files: [file("../out")] }),
        aNewTask({ files: [file("a")], dependencies: [{ kind: "KIND_AFTER", taskId: "999" }] }),
        aNewTask({ files: [file("b")], clientKey: "k" }),
        aNewTask({ files: [file("b")], clientKey: "k" }),
      ],
    });
    expect(results.map(({ failure }) => failure?.reason)).toEqual([
      undefined,
      "PATH_OUTSIDE",
      "DEPENDENCY_NOT_FOUND",
      undefined,
      undefined,
    ]);
    expect(results[4]).toMatchObject({ existing: true, taskId: results[3]!.taskId });
    const { entries } = await clients.output.listFiles({ taskId: results[3]!.taskId, path: "" });
    expect(entries.map(({ name }) => name)).toEqual(["b"]);
    const highest = Math.max(...results.map((result) => Number(result.taskId)));
    for (let number = 1; number <= highest + 2; number++) {
      const there = await clients.tasks.getTask({ taskId: `${number}`, user: "" }).then(
        () => true,
        () => false,
      );
      if (!there) expect((await clients.files.list(`${number}`, "", { uid: 20_001, gid: 20_001 })).entries).toEqual([]);
    }
  });

  it("removes files of what ended long ago, and says so to whoever asks for them", async () => {
    const { taskId } = await submit({ files: [file("in.txt")], clientKey: "k" });
    await run(taskId);
    const output = {
      run: { epoch: clients.epoch, taskId, attempt: 1 },
      stream: LogStream.STDOUT,
      offset: 0,
      content: Buffer.from("out"),
    };
    await clients.output.appendLog(output);
    await end(taskId, 3);
    const base = dirname(clients.files.getTaskDir(taskId));
    expect(existsSync(base)).toBe(true);
    const ages = { archiveAfterMs: 0, deleteAfterMs: 3_600_000 };
    expect(await clients.tasks.runHousekeeping(ages)).toEqual({ folded: 0, archived: 1, deleted: 0, more: false });
    expect(existsSync(base)).toBe(false);
    expect((await clients.tasks.getTask({ taskId, user: "" })).task).toMatchObject({
      state: "TASK_STATE_ARCHIVED",
      outcome: "OUTCOME_SUCCEEDED",
      logSizes: { stdoutBytes: 3 },
    });
    const archived = { code: "precondition", reason: "TASK_ARCHIVED" };
    await expect(clients.output.listFiles({ taskId, path: "" })).rejects.toMatchObject(archived);
    const reading = async () => {
      for await (const _ of clients.output.getFile({ taskId, path: "in.txt" })) continue;
    };
    await expect(reading()).rejects.toMatchObject(archived);
    const log = { taskId, attempt: 0, stream: LogStream.STDOUT, follow: true, stdoutOffset: 0, stderrOffset: 0 };
    const following = async () => {
      for await (const _ of clients.output.readLog(log)) continue;
    };
    await expect(following()).rejects.toMatchObject(archived);
    // An agent that was away for so long is not kept waiting, and nothing comes back to life.
    expect(await clients.output.appendLog({ ...output, offset: 3 })).toEqual({ sizeBytes: 6 });
    expect(existsSync(base)).toBe(false);
    expect(await submit({ files: [file("in.txt")], clientKey: "k" })).toMatchObject({ taskId, existing: true });
  });

  it("stores files, lists and streams them, and refuses what is not a task's", async () => {
    const { taskId } = await submit();
    async function* pieces() {
      yield { taskId, path: "d/a", executable: false, content: Buffer.from("one ") };
      yield { taskId: "", path: "", executable: false, content: Buffer.from("two") };
    }
    expect(await clients.output.addFile(pieces())).toEqual({ sizeBytes: 7 });
    expect((await clients.output.listFiles({ taskId, path: "d" })).entries).toEqual([
      { name: "a", sizeBytes: 7, directory: false },
    ]);
    const got: Buffer[] = [];
    for await (const { content } of clients.output.getFile({ taskId, path: "d/a" })) got.push(content);
    expect(Buffer.concat(got).toString()).toBe("one two");
    await expect(clients.output.listFiles({ taskId, path: "../.." })).rejects.toMatchObject({
      code: "invalid",
      reason: "PATH_OUTSIDE",
    });
    await expect(clients.output.listFiles({ taskId: "999", path: "" })).rejects.toMatchObject({ code: "not-found" });
    await expect(clients.output.addFile((async function* () {})())).rejects.toMatchObject({ code: "invalid" });
  });

  it("follows output that is being uploaded to its end", async () => {
    const { taskId } = await submit();
    await run(taskId);
    const run1 = { epoch: clients.epoch, taskId, attempt: 1 };
    const append = (offset: number, text: string) =>
      clients.output.appendLog({ run: run1, stream: LogStream.STDOUT, offset, content: Buffer.from(text) });
    await append(0, "one\n");
    const told: string[] = [];
    const following = (async () => {
      for await (const { content, gap } of clients.output.readLog({
        taskId,
        attempt: 0,
        stream: LogStream.UNSPECIFIED,
        follow: true,
        stdoutOffset: 0,
        stderrOffset: 0,
      })) {
        told.push(gap || content.toString());
        if (told.length === 1) {
          expect(await append(0, "one\n")).toEqual({ sizeBytes: 4 });
          await append(4, "two\n");
          await end(taskId, 8);
        }
      }
    })();
    await following;
    expect(told.join("")).toBe("one\ntwo\n");
  });

  it("takes output only of runs that it knows", async () => {
    const { taskId } = await submit();
    const append = (
      run: { epoch: string; taskId: string; attempt: number } | undefined,
      stream: LogStream = LogStream.STDOUT,
    ) => clients.output.appendLog({ run, stream, offset: 0, content: Buffer.from("x") });
    await expect(append({ epoch: clients.epoch, taskId, attempt: 1 })).rejects.toMatchObject({
      code: "invalid",
      reason: "UNKNOWN_RUN",
    });
    await run(taskId);
    await expect(append({ epoch: "another", taskId, attempt: 1 })).rejects.toMatchObject({ reason: "UNKNOWN_RUN" });
    await expect(append({ epoch: clients.epoch, taskId: "999", attempt: 1 })).rejects.toMatchObject({
      reason: "UNKNOWN_RUN",
    });
    await expect(append(undefined)).rejects.toMatchObject({ reason: "UNKNOWN_RUN" });
    await expect(append({ epoch: clients.epoch, taskId, attempt: 1 }, LogStream.UNSPECIFIED)).rejects.toMatchObject({
      code: "invalid",
    });
    expect(await append({ epoch: clients.epoch, taskId, attempt: 1 })).toEqual({ sizeBytes: 1 });
  });

  it("says with its reason why a plan is not taken, and streams snapshot and changes", async () => {
    await expect(clients.tasks.commitPlan({ term: 5, placements: [], ends: [] })).rejects.toMatchObject({
      code: "precondition",
      reason: "STALE_TERM",
    });
    const { taskId } = await submit();
    let token = "";
    for await (const part of clients.tasks.snapshot({})) token ||= part.token;
    await run(taskId);
    const stop = new AbortController();
    for await (const part of clients.tasks.changes({ token, user: "ada", tasksOnly: true }, { signal: stop.signal })) {
      expect(part.changes).toHaveLength(1);
      break;
    }
    for await (const part of clients.tasks.changes({ token: "nonsense", user: "", tasksOnly: false }))
      expect(part.startAgain).toBe(true);
  });
});
