import { LogStream } from "@berth/contracts/store";
import { ReadLogRequest, SubmitTaskRequest, SubmitTasksRequest } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import { apiOf, startCluster, whenOver } from "@berth/test-support";
import { median, report, round } from "./measure.ts";

/**
 * From the call of submit to the task's own clock reading, with nothing else to do; it includes the start of `date` itself. Once on a cluster that has just started,
 * whose code is not compiled yet, and once after some thousand tasks, as on a cluster that people use.
 */
const rounds = 60;
const notCounted = 10;
const before = 3_000;

await using cluster = await startCluster({ driver: "process" });
const api = apiOf(cluster);

async function measure(when: string): Promise<void> {
  const starts: number[] = [];
  const ends: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const from = performance.now();
    const { taskId } = await api.tasks.submitTask(
      SubmitTaskRequest.fromPartial({ spec: { command: ["date", "+%s%N"] } }),
    );
    let text = "";
    for await (const piece of api.tasks.readLog(
      ReadLogRequest.fromPartial({ taskId, stream: LogStream.STDOUT, follow: true }),
    ))
      text += Buffer.from(piece.content).toString("utf8");
    const { task } = await api.tasks.getTask({ taskId });
    if (task?.state !== TaskState.OVER) throw new Error(`not over: ${task?.state}`);
    ends.push(performance.now() - from);
    starts.push(Number(BigInt(text.trim()) / 1000n) / 1000 - (performance.timeOrigin + from));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  report(`submit-to-start-${when}`, { medianMs: round(median(starts.slice(notCounted)), 1), reach: 10 });
  report(`submit-to-result-read-${when}`, { medianMs: round(median(ends.slice(notCounted)), 1) });
}

await measure("cold");
for (let at = 0; at < before; at += 100) {
  const tasks = Array.from({ length: 100 }, () => ({ spec: { command: ["true"], resources: { cpuMilli: 100 } } }));
  const { results } = await api.tasks.submitTasks(SubmitTasksRequest.fromPartial({ tasks }));
  for (const { taskId } of results) await whenOver(api, taskId);
}
await new Promise((resolve) => setTimeout(resolve, 1_000));
await measure("warm");
api.close();
