import { SubmitTaskRequest } from "@berth/contracts/api";
import { Dependency_Kind } from "@berth/contracts/types";
import { apiOf, startCluster } from "@berth/test-support";
import { perSecond, report } from "./measure.ts";

/** Durable submits over gRPC: one by one with 64 in flight, and in batches. The tasks wait for one that sleeps, so nothing else is measured. */
const singles = 10_000;
const batches = 20;
const batchSize = 1_000;
const inFlight = 64;

await using cluster = await startCluster({ driver: "process" });
const api = apiOf(cluster);
const { taskId } = await api.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec: { command: ["sleep", "600"] } }));
const request = SubmitTaskRequest.fromPartial({
  spec: { command: ["true"], name: "perf", dependencies: [{ kind: Dependency_Kind.AFTER, taskId }] },
});

async function submitSingles(count: number): Promise<number> {
  let left = count;
  const from = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await api.tasks.submitTask(request);
    }),
  );
  return performance.now() - from;
}

await submitSingles(500);
const singleMs = await submitSingles(singles);
report("submit-single-64-in-flight", { rate: perSecond(singles, singleMs), unit: "submits/s", reach: 2000 });

const from = performance.now();
for (let i = 0; i < batches; i++) {
  const { results } = await api.tasks.submitTasks({ tasks: Array.from({ length: batchSize }, () => request) });
  if (results.some((r) => r.failure))
    throw new Error(`a submit failed: ${JSON.stringify(results.find((r) => r.failure))}`);
}
report("submit-batched-1000", {
  rate: perSecond(batches * batchSize, performance.now() - from),
  unit: "submits/s",
  reach: 10_000,
});

const lines = `${JSON.stringify({ command: ["true"], after: [taskId] })}\n`.repeat(1000);
const cliFrom = performance.now();
const ran = await cluster.berth(["submit", "-"], { input: lines });
if (ran.code !== 0 || ran.stdout.trim().split("\n").length !== 1000)
  throw new Error(`berth submit -: ${ran.code} ${ran.stderr}`);
report("cli-submit-1000-lines", {
  ms: Math.round(performance.now() - cliFrom),
  rate: perSecond(1000, performance.now() - cliFrom),
  unit: "submits/s, start of the command included",
});
api.close();
