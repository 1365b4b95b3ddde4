import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeChunk, encodeChunk } from "./folded-chunk.ts";
import type { FoldedRow } from "./folded-chunk.ts";

const whole = fc.nat({ max: 2 ** 45 });
const maybe = fc.option(whole);
const word = fc.oneof(fc.constantFrom("", "h1", "h2"), fc.string());
const row: fc.Arbitrary<FoldedRow> = fc.record({
  idx: whole,
  attempt: fc.nat(5),
  revision: whole,
  request_by: word,
  host: word,
  journal: word,
  detail: word,
  avoid: word,
  outcome: fc.integer({ min: 1, max: 8 }),
  reason_code: word,
  reason_message: word,
  exit_code: fc.option(fc.integer({ min: -1, max: 255 })),
  signal: fc.option(fc.nat(64)),
  placed_at: maybe,
  started_at: maybe,
  ended_at: maybe,
  cpu_ms: maybe,
  peak_memory_bytes: maybe,
  wall_ms: maybe,
  stdout_bytes: maybe,
  stderr_bytes: maybe,
  stdout_lost_bytes: maybe,
  stderr_lost_bytes: maybe,
  oom_kills: maybe,
  enforced: word,
});

describe("a folded chunk", () => {
  it("gives back what was put in, whatever is missing or wrong in it", () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
        expect(decodeChunk(encodeChunk(rows))).toEqual(rows);
      }),
      { numRuns: 1_000 },
    );
  });

  it("reads a chunk of a version that did not know lost output and killed processes", () => {
    const rows = fc.sample(row, 2);
    const body = JSON.parse(inflateRawSync(encodeChunk(rows)).toString("utf8")) as { columns: Record<string, unknown> };
    for (const name of ["stdout_lost_bytes", "stderr_lost_bytes", "oom_kills"]) delete body.columns[name];
    const none = { stdout_lost_bytes: null, stderr_lost_bytes: null, oom_kills: null };
    expect(decodeChunk(deflateRawSync(JSON.stringify(body)))).toEqual(rows.map((one) => ({ ...one, ...none })));
  });

  it("takes about ten bytes an element that is like others", () => {
    const rows = Array.from({ length: 1_000 }, (_, i): FoldedRow => {
      const noise = (i * 7_919) % 1_009; // as varied as measured values are
      const started = 1_790_000_000_000 + i * 3 + (noise % 40);
      return {
        idx: i,
        attempt: 1,
        revision: 5_000 + i * 2 + (noise % 3),
        request_by: "",
        host: `host-${noise % 50}`,
        journal: `journal-${noise % 50}`,
        detail: "",
        avoid: "",
        outcome: noise % 20 === 0 ? 2 : 1,
        reason_code: noise % 20 === 0 ? "EXIT_CODE" : "EXITED",
        reason_message: noise % 20 === 0 ? "exit code 3" : "",
        exit_code: noise % 20 === 0 ? 3 : 0,
        signal: null,
        placed_at: 1_790_000_000_000 + i * 3,
        started_at: started,
        ended_at: started + 50 + (noise % 200),
        cpu_ms: noise % 60,
        peak_memory_bytes: 1_000_000 + noise * 4_096,
        wall_ms: 50 + (noise % 200),
        stdout_bytes: noise % 30,
        stderr_bytes: 0,
        enforced: "memory_watched",
      };
    });
    expect(encodeChunk(rows).length / rows.length).toBeLessThan(20);
  });
});
