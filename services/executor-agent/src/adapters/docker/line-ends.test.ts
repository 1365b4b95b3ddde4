import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineEnds } from "./line-ends.ts";
import type { LogEntry } from "./log-frames.ts";

const partBytes = 16_384;

/** As the engine's `local` log driver hands out what a program wrote on one output. */
function entriesOf(stream: LogEntry["stream"], written: string, dropsEnds: boolean): LogEntry[] {
  const entries: LogEntry[] = [];
  const lines = written.split("\n");
  for (const [n, line] of lines.entries()) {
    const isLast = n === lines.length - 1;
    if (isLast && line === "") break;
    const at = `2026-01-01T00:00:00.${String(n).padStart(9, "0")}Z`;
    let from = 0;
    for (; line.length - from >= partBytes; from += partBytes)
      entries.push({ stream, at, text: Buffer.from(line.slice(from, from + partBytes)) });
    const rest = line.slice(from);
    const end = isLast || (from > 0 && dropsEnds) ? "" : "\n";
    if (!isLast || rest !== "") entries.push({ stream, at, text: Buffer.from(rest + end) });
  }
  return entries;
}

/** What is restored where the agent dies after each entry, and goes on from its note. */
function restored(entries: readonly LogEntry[]): Record<LogEntry["stream"], string> {
  const out = { stdout: "", stderr: "" };
  let ends = new LineEnds();
  for (const entry of entries) {
    out[entry.stream] += ends.restore(entry).toString();
    ends = new LineEnds(ends.toString());
  }
  for (const stream of ["stdout", "stderr"] as const) if (ends.isOwed(stream)) out[stream] += "\n";
  return out;
}

const length = fc.oneof(fc.nat(3), fc.constantFrom(partBytes - 1, partBytes, partBytes + 1, 2 * partBytes, 40_000));
const text = fc.array(length, { maxLength: 6 }).map((lengths) => lengths.map((n) => `${"x".repeat(n)}\n`).join(""));

describe("LineEnds", () => {
  it.each([true, false])("gives back whole lines, where the engine drops ends of long ones: %s", (dropsEnds) => {
    fc.assert(
      fc.property(text, text, (stdout, stderr) => {
        const mixed = [...entriesOf("stdout", stdout, dropsEnds), ...entriesOf("stderr", stderr, dropsEnds)];
        expect(restored(mixed)).toEqual({ stdout, stderr });
      }),
      { numRuns: 200 },
    );
  });

  it("adds nothing to a last line that was not ended, as long as it is short", () => {
    expect(restored(entriesOf("stdout", `${"x".repeat(20_000)}\nend`, true)).stdout).toBe(`${"x".repeat(20_000)}\nend`);
    expect(restored(entriesOf("stdout", "x".repeat(partBytes), true)).stdout).toBe("x".repeat(partBytes));
  });
});
