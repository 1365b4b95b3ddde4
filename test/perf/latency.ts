import { LogStream } from "@berth/contracts/store";
import { ReadLogRequest, SubmitTaskRequest } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import { apiOf, startCluster } from "@berth/test-support";
import { median, report, round } from "./measure.ts";

/** From the call of submit to the task's own clock reading, on an idle cluster; it includes the start of `date` itself. */
const rounds = 60;
await using cluster = await startCluster({ driver: "process" });
const api = apiOf(cluster);
const starts: number[] = [];
const ends: number[] = [];
for (let i = 0; i < rounds; i++) {
  const calledAt = Date.now() + (performance.now() % 1);
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
  starts.push(Number(BigInt(text.trim()) / 1000n) / 1000 - calledAt);
  await new Promise((resolve) => setTimeout(resolve, 50));
}
report("submit-to-start", { medianMs: round(median(starts.slice(10)), 1), reach: 15 });
report("submit-to-result-read", { medianMs: round(median(ends.slice(10)), 1) });
api.close();
