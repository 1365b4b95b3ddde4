import { get } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";
import { silentLogger } from "./logger.ts";
import { counter, gauge, histogram, serveMetrics } from "./metrics.ts";

describe("serveMetrics", () => {
  let closing: Closing;
  beforeEach(() => void (closing = new Closing()));
  afterEach(() => closing.close());

  it("shows what was counted, the process, and whether it is well", async () => {
    let well = true;
    const address = await serveMetrics({ address: "127.0.0.1:0", closing, logger: silentLogger, healthy: () => well });
    const ask = async (path: string) => fetch(`http://${address}${path}`);
    counter("test_things_total", "Things", ["kind"]).inc({ kind: "a" }, 2);
    expect(counter("test_things_total", "Things", ["kind"])).toBe(counter("test_things_total", "Things", ["kind"]));
    gauge("test_level", "A level", () => 7);
    histogram("test_seconds", "Times").observe(0.003);
    const text = await (await ask("/metrics")).text();
    for (const line of [
      'test_things_total{kind="a"} 2',
      "test_level 7",
      'test_seconds_bucket{le="0.005"} 1',
      "process_cpu_seconds_total",
    ]) {
      expect(text).toContain(line);
    }
    expect((await ask("/healthz")).status).toBe(200);
    well = false;
    expect((await ask("/healthz")).status).toBe(503);
    expect((await ask("/")).status).toBe(404);
  });

  it("listens on a socket too", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-metrics-"));
    const socketPath = join(dir, "m");
    expect(await serveMetrics({ address: `unix:${socketPath}`, closing, logger: silentLogger })).toBe(
      `unix:${socketPath}`,
    );
    const status = await new Promise((resolve) =>
      get({ socketPath, path: "/healthz" }, (response) => (response.resume(), resolve(response.statusCode))),
    );
    expect(status).toBe(200);
    await closing.close();
    rmSync(dir, { recursive: true });
  });
});
