import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LogCursor } from "./log-cursor.ts";
import type { LogEntry } from "./log-frames.ts";

/** An engine's buffer: the newest files of a few entries each. */
class Buffered {
  readonly #perFile: number;
  readonly #files: number;
  readonly all: LogEntry[] = [];
  #clockMs = Date.UTC(2026, 0, 1);

  constructor(perFile: number, files: number) {
    this.#perFile = perFile;
    this.#files = files;
  }

  write(count: number, stepMs: number, jitterMs: number): void {
    for (let i = 0; i < count; i += 1) {
      this.#clockMs += stepMs;
      const stream = this.all.length % 3 === 0 ? "stderr" : "stdout";
      // One stream's entries may be written a little after later ones of the other.
      const ms = new Date(this.#clockMs - (stream === "stderr" ? jitterMs : 0)).toISOString().slice(0, -1);
      this.all.push({
        stream,
        at: `${ms}${stepMs === 0 ? "000000" : String(this.all.length).padStart(6, "0")}Z`,
        text: Buffer.from(`${this.all.length}\n`),
      });
    }
  }

  /** What an engine hands out from its files, all of one moment. */
  read(since: string | undefined): LogEntry[] {
    const last = Math.floor(Math.max(0, this.all.length - 1) / this.#perFile);
    const kept = this.all.slice(Math.max(0, last - this.#files + 1) * this.#perFile);
    return kept.filter(({ at }) => since === undefined || at >= since);
  }
}

/** Reads as LogReader does; `take` entries of it at most, as when the agent dies. */
function read(buffer: Buffered, cursor: LogCursor, out: string[], take = Infinity): void {
  cursor.begin();
  for (const entry of buffer.read(cursor.since)) if (!one(cursor, entry, out, () => (take -= 1) < 0)) return;
  if (!cursor.lost) return;
  cursor.begin(true);
  for (const entry of buffer.read(cursor.since)) one(cursor, entry, out, () => false);
}

function one(cursor: LogCursor, entry: LogEntry, out: string[], isOver: () => boolean): boolean {
  const verdict = cursor.accept(entry);
  if (verdict === false) return true;
  if (verdict !== true) out.push(verdict.kind === "skipped" ? `gap ${verdict.stdout} ${verdict.stderr}` : "gap");
  if (verdict === true || verdict.kind === "evicted") out.push(entry.text.toString().trim());
  return !isOver();
}

const stepOf = (...stepMs: number[]) =>
  fc.record({
    write: fc.nat(60),
    take: fc.nat(80),
    forget: fc.boolean(),
    stepMs: fc.constantFrom(...stepMs),
    jitterMs: fc.constantFrom(0, 3),
  });
type Step = ReturnType<typeof stepOf> extends fc.Arbitrary<infer T> ? T : never;

/** Reads over interruptions as they come; what must hold of all that was read. */
function check(buffer: Buffered, steps: readonly Step[], mayRotate: boolean): void {
  const out: string[] = [];
  let cursor = LogCursor.start();
  let note = cursor.toString();
  let noted = 0;
  for (const { write, take, forget, stepMs, jitterMs } of steps) {
    buffer.write(write, stepMs, jitterMs);
    read(buffer, cursor, out, take);
    // Died before its last note: what it wrote since is skipped by its size, which the sink knows.
    if (forget) out.length = noted;
    else [note, noted] = [cursor.toString(), out.length];
    cursor = LogCursor.parse(note);
  }
  read(buffer, cursor, out);
  let expected = 0;
  // Where nothing was read yet, a lost beginning is LogReader's to tell.
  let excused = mayRotate;
  for (const line of out) {
    if (line.startsWith("gap")) {
      expect(mayRotate).toBe(true);
      excused = true;
      continue;
    }
    const number = Number(line);
    if (excused) expect(number).toBeGreaterThanOrEqual(expected);
    else expect(number).toBe(expected);
    expected = number + 1;
    excused = false;
  }
  expect(expected).toBe(buffer.all.length);
}

describe("LogCursor", () => {
  it("takes each entry once and in order over any interruptions, and marks what was rotated away", () => {
    fc.assert(
      fc.property(
        fc.array(stepOf(1, 7, 900), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 5, max: 40 }),
        fc.integer({ min: 2, max: 4 }),
        (steps, perFile, files) => check(new Buffered(perFile, files), steps, true),
      ),
      { numRuns: 600 },
    );
  });

  it("does not need times to differ, as long as the beginning is there", () => {
    fc.assert(
      fc.property(fc.array(stepOf(0, 0, 1), { minLength: 1, maxLength: 12 }), (steps) =>
        check(new Buffered(10_000, 2), steps, false),
      ),
      { numRuns: 300 },
    );
  });

  it("says how many bytes of each output the engine skipped while it was followed", () => {
    const buffer = new Buffered(1000, 2);
    buffer.write(10, 1, 0);
    const cursor = LogCursor.start();
    const out: string[] = [];
    read(buffer, cursor, out);
    buffer.write(90, 1, 0);
    // The follower saw only every other one.
    cursor.begin();
    for (const [n, entry] of buffer.read(cursor.since).entries())
      if (n < 10 || n % 2 === 1) one(cursor, entry, out, () => false);
    read(buffer, cursor, out);
    // Entries 10, 12, … 98 of three bytes; each third of all is of stderr.
    expect(out.at(-1)).toBe("gap 90 45");
    buffer.write(1, 1, 0);
    read(buffer, cursor, out);
    expect(out.at(-1)).toBe("100");
  });

  it("does not read again from the beginning, however much there was", () => {
    const cursor = LogCursor.start();
    cursor.begin();
    const text = Buffer.alloc(1000, "x");
    for (let n = 0; n < 10_000; n += 1)
      cursor.accept({
        stream: "stdout",
        at: new Date(Date.UTC(2026, 0, 1) + n * 10).toISOString().replace("Z", "000000Z"),
        text,
      });
    expect(cursor.since! > "2026-01-01T00:00:30").toBe(true);
  });
});
