import { readFileSync } from "node:fs";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import { coreUser, startCore, until } from "@berth/test-support";
import { expect, it } from "vitest";

const watches = process.env["BERTH_TEST_SIZE"] === "slow" ? 10_000 : 2_500;
/** Streams of one client; grpc-js shares one connection among all of them. */
const perClient = 500;
const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;

it(`tells ${watches} watches of a task's end, and goes on answering everybody`, async () => {
  await using core = await startCore({
    names: ["storage", "auth", "gateway", "scheduler", "watcher", "agent"],
    env: { BERTH_MAX_STREAMS: String(watches) },
  });
  const { berth, again } = await coreUser(core);
  const clients = Array.from({ length: watches / perClient }, again);
  const before = residentMb(core.pidOf("gateway"));
  const stop = new AbortController();
  const failures: unknown[] = [];
  const ended = new Set<number>();
  let open = 0;
  for (let n = 0; n < watches; n++) {
    void (async () => {
      let isOpen = false;
      const stream = clients[n % clients.length]!.tasks.watchTasks(
        { token: "", user: "", taskIds: [] },
        { signal: stop.signal },
      );
      for await (const { tasks } of stream) {
        if (!isOpen) open += 1;
        isOpen = true;
        if (tasks.some(({ state }) => state === TaskState.OVER)) ended.add(n);
      }
    })().catch((error: unknown) => stop.signal.aborted || failures.push(error));
  }
  await until(() => open === watches || failures.length > 0, "every watch to be open", 240_000);
  expect(failures).toEqual([]);
  const grownMb = residentMb(core.pidOf("gateway")) - before;
  const from = performance.now();
  const { taskId } = await berth.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec: { command: ["true"] } }));
  const answeredMs = performance.now() - from;
  expect(taskId).not.toBe("");
  await until(() => ended.size === watches || failures.length > 0, "every watch to tell the end", 120_000);
  expect(failures).toEqual([]);
  // A stream of HTTP/2 with its handler takes about 50 kB at each end.
  console.log(JSON.stringify({ watches, grownMb: Math.round(grownMb), answeredMs: Math.round(answeredMs) }));
  expect(grownMb).toBeLessThan(watches * 0.15 + 50);
  stop.abort();
  for (const each of clients) each.close();
  berth.close();
});
