import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { Closing, grpcChannel, grpcClient, internalAuthorization } from "@berth/runtime";
import { aNewTask } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const secret = "a-secret-of-this-test-only";

describe("the storage process", () => {
  let dir: string;
  let closing: Closing;
  const started: ChildProcess[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-storage-main-"));
    closing = new Closing();
  });
  afterEach(async () => {
    await closing.close();
    for (const child of started.splice(0)) await stop(child, "SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });

  function start(): { readonly child: ChildProcess; readonly output: () => string } {
    const readyFile = join(dir, "ready");
    rmSync(readyFile, { force: true });
    const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
      env: {
        PATH: process.env["PATH"],
        BERTH_DATA_DIR: join(dir, "data"),
        BERTH_LISTEN: `unix:${join(dir, "s.sock")}`,
        BERTH_CLUSTER_SECRET: secret,
        BERTH_READY_FILE: readyFile,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    started.push(child);
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (text += bytes.toString()));
    return { child, output: () => text };
  }

  async function ready(): Promise<ChildProcess> {
    const { child, output } = start();
    while (!existsSync(join(dir, "ready"))) {
      if (child.exitCode !== null) throw new Error(output());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return child;
  }

  async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    await once(child, "exit");
    return child.exitCode;
  }

  const client = (more: { readonly idempotent?: true } = {}) =>
    grpcClient(TaskStoreServiceService, grpcChannel(`unix:${join(dir, "s.sock")}`, { closing }), {
      service: "storage",
      authorization: internalAuthorization(secret),
      ...more,
    });

  it("has every task that it acknowledged, after it was killed in the middle of it", { timeout: 30_000 }, async () => {
    const store = client(); // a submit that fails is not sent again: its answer may be what was lost
    const reader = client({ idempotent: true });
    const acknowledged: string[] = [];
    let epoch = "";
    for (let round = 0; round < 3; round++) {
      const child = await ready();
      await reader.countTasks({ user: "" }); // connects again, however long that is backed off
      const killed = new AbortController(); // what was not answered by then never will be
      const flights = Array.from({ length: 32 }, async (_, flight) => {
        for (let i = 0; ; i++) {
          const { results } = await store.submit(
            { tasks: [aNewTask({ name: `r${round}-${flight}-${i}` })] },
            { signal: killed.signal },
          );
          acknowledged.push(results[0]!.taskId);
        }
      });
      const ended = Promise.allSettled(flights);
      while (acknowledged.length < (round + 1) * 300) await new Promise((resolve) => setTimeout(resolve, 5));
      await stop(child, "SIGKILL");
      killed.abort();
      await ended;
    }
    await ready();
    const stored = new Set<string>();
    let pageToken = "";
    do {
      const page = await reader.listTasks({
        user: "",
        states: [],
        outcomes: [],
        name: "",
        arrayId: "",
        pageSize: 1_000,
        pageToken,
        taskIds: [],
      });
      for (const { id } of page.tasks) stored.add(id);
      epoch = page.watchToken.split(".")[0]!;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    expect(epoch).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });

  it("is the only one on its data, says who holds it, and leaves nothing behind when it is stopped", async () => {
    const first = await ready();
    const second = start();
    await once(second.child, "exit");
    expect(second.child.exitCode).toBe(1);
    expect(second.output()).toContain("STORAGE_LOCKED");
    expect(second.output()).toContain(`pid ${first.pid}`);
    await expect(client().countTasks({ user: "" })).resolves.toEqual({ byState: {} }); // the first goes on
    expect(await stop(first, "SIGTERM")).toBe(0);
    expect(
      ["storage.db-wal", "storage.db-shm", "lock.pid"].filter((name) => existsSync(join(dir, "data", name))),
    ).toEqual([]);
    expect(
      readFileSync(join(dir, "data", "storage.db"))
        .subarray(0, 15)
        .toString(),
    ).toBe("SQLite format 3");
    expect(statSync(join(dir, "data")).mode & 0o777).toBe(0o700);
  });

  it("answers nobody without the cluster's secret", async () => {
    await ready();
    const stranger = grpcClient(TaskStoreServiceService, grpcChannel(`unix:${join(dir, "s.sock")}`, { closing }), {
      service: "storage",
    });
    await expect(stranger.countTasks({ user: "" })).rejects.toMatchObject({ code: "unauthenticated" });
  });
});
