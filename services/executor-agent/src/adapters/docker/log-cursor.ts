import type { LogEntry } from "./log-frames.ts";

type Stream = LogEntry["stream"];

/** Enough of an entry to know it again. */
interface Mark {
  readonly at: string;
  readonly stream: Stream;
  readonly bytes: number;
  /** Which one it is of those with this time and stream: parts of a long line share theirs. */
  readonly nth: number;
}

/** From where reading starts again, and how many entries from there on were read before. */
interface Anchor {
  /** Empty: from the beginning. */
  readonly since: string;
  readonly first: Mark | undefined;
  count: number;
  lines: number;
  bytes: number;
}

/** How far a run's output was read; what is journalled. */
interface Position {
  anchor: Anchor;
  /** The anchor to be, once it is old enough that nothing earlier can still come. */
  next: Anchor | undefined;
  last: Mark | undefined;
  latest: string;
}

/** Output that is not there any more. Lines are counted where that can be known: where the engine has them, but did not hand them out in time. */
export type Gap = { readonly lines: number; readonly stream: Stream } | { readonly from: string; readonly to: string };

/** Re-read at most about this much after an interruption, however long the run is. */
const reanchorBytes = 4 * 1024 * 1024;
/** The streams of a container are stamped side by side and written one after the other: times may be out of order by less than this. */
const disorderMs = 2000;

/**
 * Knows of each entry that an engine hands out whether it was read before, across interruptions at any moment. It counts entries from an anchor in the
 * engine's own order, so it does not depend on times being distinct or rising; where the anchor was rotated away it looks for the last entry read; where that is
 * gone too, output is missing and it says so.
 */
export class LogCursor {
  #position: Position;
  #mode: "start" | "counting" | "searching" | "taking" | "afterGap" = "start";
  #seen = 0;
  #seenLines = 0;
  #head: Mark | undefined;
  /** Where counting did not end at the last entry read: the engine skipped some while it was followed. */
  #skipped = false;
  #nth: Record<Stream, { at: string; n: number }> = fresh();

  private constructor(position: Position) {
    this.#position = position;
  }

  static start(): LogCursor {
    return new LogCursor({ anchor: anchorAt("", undefined), next: undefined, last: undefined, latest: "" });
  }

  static parse(text: string): LogCursor {
    return new LogCursor(JSON.parse(text) as Position);
  }

  toString(): string {
    return JSON.stringify(this.#position);
  }

  /** Time from which entries are wanted; undefined: all. */
  get since(): string | undefined {
    return this.#position.anchor.since || undefined;
  }

  /** Whether nothing was read yet. */
  get isFresh(): boolean {
    return this.#position.last === undefined;
  }

  /** Whether the place is not where it was expected. */
  get searching(): boolean {
    return this.#mode === "searching";
  }

  /** Before the first entry of each new reading. */
  begin(afterGap = false): void {
    this.#mode = afterGap ? "afterGap" : this.#position.last === undefined ? "taking" : "start";
    this.#seen = 0;
    this.#seenLines = 0;
    this.#head = undefined;
    this.#skipped = false;
    this.#nth = fresh();
  }

  /** True: new. False: read before. A gap: new, and before it something is missing. */
  accept(entry: LogEntry): boolean | Gap {
    const mark = this.#mark(entry);
    switch (this.#mode) {
      case "taking":
        this.#take(entry, mark);
        return true;
      case "afterGap": {
        if (entry.at === this.#position.last!.at) return false;
        const from = this.#position.last!.at;
        this.#position = { anchor: anchorAt("", mark), next: undefined, last: undefined, latest: "" };
        this.#mode = "taking";
        this.#take(entry, mark);
        return { from, to: entry.at };
      }
      case "start":
        this.#head = mark;
        this.#mode =
          this.#position.anchor.first === undefined || same(this.#position.anchor.first, mark)
            ? "counting"
            : "searching";
        break;
      case "counting":
      case "searching":
    }
    return this.#pass(entry, mark);
  }

  /** After the last entry of a complete reading: whether the last entry read before is gone, and with it we do not know how much. */
  get lost(): boolean {
    return this.#mode === "start" || this.#mode === "counting" || this.#mode === "searching";
  }

  #pass(entry: LogEntry, mark: Mark): boolean | Gap {
    const { anchor, last } = this.#position;
    this.#seen += 1;
    if (endsLine(entry)) this.#seenLines += 1;
    if (this.#mode === "counting") {
      if (this.#seen < anchor.count) return false;
      if (same(mark, last!)) {
        this.#mode = "taking";
        return false;
      }
      this.#mode = "searching";
      this.#skipped = true;
      return false;
    }
    // Of those that share the time of the head, some may be rotated away, and which one this is cannot be told.
    if (!same(mark, last!) || (!this.#skipped && this.#head!.at === last!.at)) return false;
    this.#mode = "taking";
    const lines = this.#seenLines - anchor.lines;
    if (this.#skipped) {
      anchor.count = this.#seen;
      anchor.lines = this.#seenLines;
      return lines > 0 ? { lines, stream: mark.stream } : false;
    }
    // The head was rotated away, after it was read: what is there now becomes the anchor.
    this.#position.anchor = {
      since: "",
      first: this.#head,
      count: this.#seen,
      lines: this.#seenLines,
      bytes: anchor.bytes,
    };
    this.#position.next = undefined;
    return false;
  }

  #take(entry: LogEntry, mark: Mark): void {
    const position = this.#position;
    if (position.anchor.first === undefined) position.anchor = anchorAt(position.anchor.since, mark);
    for (const anchor of [position.anchor, position.next]) {
      if (anchor === undefined || entry.at < anchor.since) continue;
      anchor.count += 1;
      anchor.bytes += entry.text.length + 32;
      if (endsLine(entry)) anchor.lines += 1;
    }
    const newest = entry.at > position.latest;
    // Later than all before it, so that counting from it on is counting what comes after it.
    if (newest && position.next === undefined && position.anchor.bytes > reanchorBytes / 2) {
      position.next = { since: entry.at, first: mark, count: 1, lines: endsLine(entry) ? 1 : 0, bytes: 0 };
    } else if (
      newest &&
      position.next !== undefined &&
      position.anchor.bytes > reanchorBytes &&
      milliseconds(entry.at) - milliseconds(position.next.since) > disorderMs
    ) {
      position.anchor = position.next;
      position.next = undefined;
    }
    if (newest) position.latest = entry.at;
    position.last = mark;
  }

  #mark(entry: LogEntry): Mark {
    const before = this.#nth[entry.stream];
    if (before.at === entry.at) before.n += 1;
    else this.#nth[entry.stream] = { at: entry.at, n: 1 };
    return { at: entry.at, stream: entry.stream, bytes: entry.text.length, nth: this.#nth[entry.stream].n };
  }
}

/** A line of its own in the output, which nobody takes for the task's. */
export function gapLine(gap: Gap): string {
  if ("lines" in gap) return `[berth: ${gap.lines} lines of output are missing above: the engine's log skipped them]\n`;
  const seconds = Math.round(milliseconds(gap.to) - milliseconds(gap.from)) / 1000;
  return `[berth: output of ${seconds} s is missing here, from ${gap.from} to ${gap.to}, an unknown number of lines: the engine's log buffer was full]\n`;
}

/** Before the first line, where output was first read so late that there is no telling whether it is the first. */
export const beginningLine =
  "[berth: output may be missing here: the engine's log buffer had filled up before it was first read]\n";

const fresh = (): Record<Stream, { at: string; n: number }> => ({ stdout: { at: "", n: 0 }, stderr: { at: "", n: 0 } });
const anchorAt = (since: string, first: Mark | undefined): Anchor => ({ since, first, count: 0, lines: 0, bytes: 0 });
const same = (a: Mark, b: Mark): boolean =>
  a.at === b.at && a.stream === b.stream && a.bytes === b.bytes && a.nth === b.nth;
const endsLine = ({ text }: LogEntry): boolean => text[text.length - 1] === 0x0a;
const milliseconds = (at: string): number => Date.parse(`${at.slice(0, 23)}Z`);
