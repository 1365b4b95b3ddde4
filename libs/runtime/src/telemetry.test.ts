import { startOtlpReceiver } from "@berth/test-support";
import { context } from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";
import { extract, inject, isTracing, startTelemetry, traceparent, withSpan } from "./telemetry.ts";

const parent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

describe("telemetry", () => {
  let closing: Closing;
  beforeEach(() => void (closing = new Closing()));
  afterEach(() => closing.close());

  it("does nothing until it is configured", async () => {
    await startTelemetry({ service: "test", closing });
    expect(isTracing()).toBe(false);
    const carrier = new Map<string, string>();
    await withSpan("nothing", {}, async (span) => {
      expect(span).toBeUndefined();
      inject(carrier);
    });
    expect(carrier.size).toBe(0);
  });

  it("makes one trace across a header, and has sent all when it is closed", async () => {
    const receiver = await startOtlpReceiver();
    await startTelemetry({ service: "test", otlpUrl: receiver.url, closing });
    const carrier = new Map<string, string>();
    await withSpan("submit", { parent }, async () => {
      await Promise.resolve();
      inject(carrier);
    });
    await withSpan("receive", { kind: "server", parent: carrier.get("traceparent") }, () =>
      withSpan("inside", {}, async () => expect(traceparent()).toContain("a".repeat(32))),
    );
    await expect(withSpan("fails", { parent: undefined }, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await closing.close();
    expect(isTracing()).toBe(false);
    const spans = new Map(receiver.spans.map((span) => [span.name, span]));
    expect(spans.get("submit")).toMatchObject({
      traceId: "a".repeat(32),
      parentSpanId: "b".repeat(16),
      service: "berth-test",
    });
    expect(spans.get("receive")).toMatchObject({ traceId: "a".repeat(32), parentSpanId: spans.get("submit")?.spanId });
    expect(spans.get("inside")).toMatchObject({ parentSpanId: spans.get("receive")?.spanId });
    expect(spans.get("fails")).toMatchObject({ parentSpanId: "" });
    await receiver.close();
  });

  it("stops cleanly, and soon, when the receiver is away", async () => {
    const receiver = await startOtlpReceiver();
    await receiver.close();
    await startTelemetry({ service: "test", otlpUrl: receiver.url, closing });
    await withSpan("lost", {}, async () => {});
    await closing.close();
  });

  it("takes nothing that is no traceparent", () => {
    const root = extract(undefined);
    for (const value of ["", "00-xyz", `${parent}-more`]) expect(extract(value)).toBe(root);
    expect(extract(parent)).not.toBe(root);
    expect(context.active()).toBeDefined();
  });
});
