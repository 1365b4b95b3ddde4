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
  /** Bytes of these entries, by output. */
  text: Record<Stream, number>;
  /** About as much as they take in the engine's files. */
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

/**
 * Output that was lost. skipped: the engine still has it, but did not hand it out in time, so the bytes are counted. evicted: its log was full, and it threw away
 * what was written between these times.
 */
export type Gap =
  | ({ readonly kind: "skipped" } & Readonly<Record<Stream, number>>)
  | { readonly kind: "evicted"; readonly from: string; readonly to: string };

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
  #seenText = noText();
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
    this.#seenText = noText();
    this.#head = undefined;
    this.#skipped = false;
    this.#nth = fresh();
  }

  /** True: new. False: read before. `skipped`: read before, and before it something is missing. `evicted`: new, and before it something is missing. */
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
        return { kind: "evicted", from, to: entry.at };
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
    this.#seenText[entry.stream] += entry.text.length;
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
    if (this.#skipped) {
      const stdout = Math.max(0, this.#seenText.stdout - anchor.text.stdout);
      const stderr = Math.max(0, this.#seenText.stderr - anchor.text.stderr);
      anchor.count = this.#seen;
      anchor.text = { ...this.#seenText };
      return stdout + stderr > 0 ? { kind: "skipped", stdout, stderr } : false;
    }
    // The head was rotated away, after it was read: what is there now becomes the anchor.
    this.#position.anchor = {
      since: "",
      first: this.#head,
      count: this.#seen,
      text: { ...this.#seenText },
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
      anchor.text[entry.stream] += entry.text.length;
    }
    const newest = entry.at > position.latest;
    // Later than all before it, so that counting from it on is counting what comes after it.
    if (newest && position.next === undefined && position.anchor.bytes > reanchorBytes / 2) {
      position.next = { since: entry.at, first: mark, count: 1, text: noText(), bytes: 0 };
      position.next.text[entry.stream] = entry.text.length;
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

const fresh = (): Record<Stream, { at: string; n: number }> => ({ stdout: { at: "", n: 0 }, stderr: { at: "", n: 0 } });
const noText = (): Record<Stream, number> => ({ stdout: 0, stderr: 0 });
const anchorAt = (since: string, first: Mark | undefined): Anchor => ({
  since,
  first,
  count: 0,
  text: noText(),
  bytes: 0,
});
const same = (a: Mark, b: Mark): boolean =>
  a.at === b.at && a.stream === b.stream && a.bytes === b.bytes && a.nth === b.nth;
const milliseconds = (at: string): number => Date.parse(`${at.slice(0, 23)}Z`);
