import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AppError, MiB } from "@berth/core";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { LogStream } from "@berth/contracts/store";
import { Outcome, TaskState } from "@berth/contracts/types";
import { coreUser, startCore, until } from "@berth/test-support";
import type { CoreName } from "@berth/test-support";
import type { Berth } from "@berth/sdk";
import { describe, expect, it } from "vitest";

const running = 100;
const watches = 200;
const squeezed = ["storage", "agent", "gateway"] as const;

/** Only root may change the limits of processes that run. */
describe.skipIf(process.getuid?.() !== 0)("services that may open few files", () => {
  it("do their work with 256, refuse with a reason what needs more, and go on when they may", async () => {
    await using core = await startCore({
      names: ["storage", "auth", "gateway", "scheduler", "watcher", "agent"],
      env: { BERTH_CAPACITY_CPU: "64", BERTH_CAPACITY_MEMORY: "64G", BERTH_MAX_STREAMS: "1000" },
    });
    const limit = (name: CoreName, files: number) =>
      execFileSync("prlimit", ["--pid", String(core.pidOf(name)), `--nofile=${files}:`]);
    const open = (name: CoreName) => readdirSync(`/proc/${core.pidOf(name)}/fd`).length;
    const pids = squeezed.map((name) => core.pidOf(name));
    for (const name of squeezed) limit(name, 256);
    const { berth, again } = await coreUser(core);
    const clients = Array.from({ length: watches }, again);
    const stop = new AbortController();
    const gate = join(core.dir, "scratch", "gate");
    execFileSync("mkfifo", [gate]);
    chmodSync(gate, 0o644);
    const script = `#!/bin/sh\necho "begun $BERTH_ATTEMPT"\nread line < "$BERTH_VOLUME_SCRATCH/gate"\necho ended\n`;
    const spec = {
      script,
      resources: { cpuMilli: 100, memoryBytes: 8 * MiB },
      volumes: [{ name: "scratch", readOnly: false }],
    };
    const request = SubmitTaskRequest.fromPartial({ spec });
    const { results } = await berth.tasks.submitTasks({ tasks: Array.from({ length: running }, () => request) });
    const ids = results.map(({ taskId, failure }) => failure?.message ?? taskId);
    const told = new Map<number, Set<string>>();
    const failures: unknown[] = [];
    for (const [n, client] of clients.entries())
      void (async () => {
        for await (const { tasks } of client.tasks.watchTasks(
          { token: "", user: "", taskIds: [] },
          { signal: stop.signal },
        )) {
          const over = told.get(n) ?? new Set();
          told.set(n, over);
          for (const { id, state } of tasks) if (state === TaskState.OVER) over.add(id);
        }
      })().catch((error: unknown) => stop.signal.aborted || failures.push(error));
    const states = async () =>
      (await Promise.all(ids.map((taskId) => berth.tasks.getTask({ taskId })))).map(({ task }) => task!);
    await until(
      async () => (await states()).every(({ state }) => state === TaskState.RUNNING),
      `${running} running tasks`,
      60_000,
    );
    await until(() => told.size === watches || failures.length > 0, `${watches} watches`, 60_000);
    expect(failures).toEqual([]);
    const all = await Promise.all(ids.map((id) => log(berth, id)));
    expect(all).toEqual(ids.map(() => "begun 1\n"));
    process.stderr.write(`open files: ${squeezed.map((name) => `${name} ${open(name)}`).join(", ")}\n`);

    // Not one more.
    for (const name of squeezed) limit(name, 3);
    const once = { patienceMs: 0, deadlineMs: 10_000 };
    const refusals = await Promise.all(
      ids.slice(0, 20).map((id) => log(berth, id, once).catch((error: unknown) => AppError.from(error))),
    );
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: "unavailable", reason: "NO_DESCRIPTORS" });
    // What needs none goes on: a submit, and its start is refused by the host for as long as that may open nothing.
    const { taskId: late } = await berth.tasks.submitTask(
      SubmitTaskRequest.fromPartial({ spec: { ...spec, script: "#!/bin/sh\necho late\n" } }),
    );
    const refusedByHost = async () => {
      const { task } = await berth.tasks.getTask({ taskId: late });
      return task!.attempt >= 1 && task!.state === TaskState.PENDING && task!.reason?.code === "NO_DESCRIPTORS";
    };
    await until(refusedByHost, "the host to refuse another task", 30_000);

    for (const name of squeezed) limit(name, 1_024);
    closeSync(openSync(gate, "w"));
    const isOver = async (taskId: string) => (await berth.tasks.getTask({ taskId })).task!.state === TaskState.OVER;
    for (const id of [...ids, late]) await until(() => isOver(id), `the end of ${id}`, 60_000);
    for (const task of await states()) expect(task).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    expect(await log(berth, late)).toBe("late\n");
    await until(() => [...told.values()].every((over) => over.size >= running), "every watch to tell all ends", 60_000);
    expect(failures).toEqual([]);
    expect(squeezed.map((name) => core.pidOf(name))).toEqual(pids);
    expect(squeezed.every((name) => core.isAlive(name))).toBe(true);
    stop.abort();
    for (const each of [...clients, berth]) each.close();
  }, 200_000);
});

/** What it wrote to standard output so far. */
async function log(
  berth: Berth,
  taskId: string,
  options: { readonly patienceMs?: number; readonly deadlineMs?: number } = {},
): Promise<string> {
  const pieces: Uint8Array[] = [];
  const request = { taskId, stream: LogStream.STDOUT, follow: false, attempt: 0, stdoutOffset: 0, stderrOffset: 0 };
  for await (const { content } of berth.tasks.readLog(request, options)) pieces.push(content);
  return Buffer.concat(pieces).toString();
}
