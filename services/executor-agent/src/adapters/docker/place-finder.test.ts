import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LogEntry } from "./log-frames.ts";
import { AfterPlaces, PlaceFinder } from "./place-finder.ts";

const start = Date.UTC(2026, 0, 1);
const entry = (stream: LogEntry["stream"], ms: number, text: string): LogEntry => ({
  stream,
  at: new Date(start + ms).toISOString().replace("Z", "000000Z"),
  text: Buffer.from(text),
});
const buffers = (stdout: string, stderr = "") => ({ stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) });

/** What is new of a log, after the noted last bytes. */
function newOf(log: readonly LogEntry[], tails: ReturnType<typeof buffers>, notedMs: number): Record<string, string> {
  const finder = new PlaceFinder(tails, start + notedMs);
  for (const each of log) finder.look(each);
  const after = new AfterPlaces(finder.places);
  const out = { stdout: "", stderr: "" };
  for (const each of log) out[each.stream] += after.rest(each, each.text).toString();
  return out;
}

describe("PlaceFinder", () => {
  it("finds the end of what was stored, however it is spread over entries that share their times", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.constantFrom("stdout" as const, "stderr" as const)), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.nat(),
        (steps, cut) => {
          let ms = 0;
          const log = steps.map(([step, stream], n) =>
            entry(stream, (ms += step), `line ${String(n).padStart(2, "0")}\n`),
          );
          const all = { stdout: "", stderr: "" };
          for (const { stream, text } of log) all[stream] += text.toString();
          // At least a line, so that what was noted is there once.
          const cutOf = (whole: string): number => Math.min(whole.length, 8 + (cut % (whole.length + 1)));
          const noted = { stdout: cutOf(all.stdout), stderr: cutOf(all.stderr) };
          const tails = buffers(all.stdout.slice(0, noted.stdout), all.stderr.slice(0, noted.stderr));
          expect(newOf(log, tails, ms)).toEqual({
            stdout: all.stdout.slice(noted.stdout),
            stderr: all.stderr.slice(noted.stderr),
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  it("takes the last place before the note, where the same bytes come again", () => {
    const log = [0, 1, 2, 60_000].map((ms) => entry("stdout", ms, "same\n"));
    expect(newOf(log, buffers("same\n"), 1_000).stdout).toBe("same\n");
  });

  it("finds none where the bytes are not there", () => {
    const finder = new PlaceFinder(buffers("gone\n"), start);
    finder.look(entry("stdout", 0, "other\n"));
    expect(finder.places).toEqual({});
  });
});
