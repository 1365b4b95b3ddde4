import { MiB } from "@berth/core";
import { apiOf, startCluster, startOtlpReceiver, submit, until, whenOver } from "@berth/test-support";
import { describe, expect, it } from "vitest";

describe("one trace a task", () => {
  it("goes from submit to exit through every service", async () => {
    const receiver = await startOtlpReceiver();
    {
      await using cluster = await startCluster({ driver: "process", up: ["--otlp", receiver.url] });
      const api = apiOf(cluster);
      const ids = await Promise.all(
        [1, 2].map(() => submit(api, { command: ["true"], resources: { cpuMilli: 100, memoryBytes: 16 * MiB } })),
      );
      for (const id of ids) await whenOver(api, id);
      api.close();
      const wanted = ["berth-gateway", "berth-storage", "berth-scheduler", "berth-agent", "berth-watcher"];
      const whole = () => {
        const byTrace = Map.groupBy(receiver.spans, (span) => span.traceId);
        return [...byTrace.values()].filter((spans) =>
          wanted.every((service) => spans.some((span) => span.service === service)),
        );
      };
      await until(() => whole().length === 2, "a whole trace for each of two tasks").catch((error: unknown) => {
        const seen = [...Map.groupBy(receiver.spans, (s) => s.traceId).values()].map((spans) =>
          spans.map((s) => `${s.service}: ${s.name}`),
        );
        throw new Error(`${String(error)}\n${JSON.stringify(seen.slice(0, 12), null, 1)}`);
      });
      for (const spans of whole()) {
        const known = new Set(spans.map((span) => span.spanId));
        const roots = spans.filter((span) => !known.has(span.parentSpanId));
        expect(roots).toHaveLength(1);
        expect(roots[0]).toMatchObject({ service: "berth-gateway" });
      }
    }
    await receiver.close();
  });
});
