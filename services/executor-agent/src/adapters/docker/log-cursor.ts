import type { LogEntry } from "./log-frames.ts";

type Stream = LogEntry["stream"];

/** What identifies an entry of the log. */
interface Mark {
  readonly at: string;
  readonly stream: Stream;
  readonly bytes: number;
  /** Its number among the entries with the same time and stream. The parts of a long line share both. */
  readonly nth: number;
}

/** Where a reading starts, and how many entries from there were read before. */
interface Anchor {
  /** Empty: from the beginning. */
  readonly since: string;
  readonly first: Mark | undefined;
  count: number;
  /** Bytes of these entries, per stream. */
  text: Record<Stream, number>;
  /** Approximate size of these entries in the engine's files. */
  bytes: number;
}

/** How far a run's output was read. The journal stores it. */
interface Position {
  anchor: Anchor;
  /** The next anchor. It replaces the anchor once no earlier entry can still arrive. */
  next: Anchor | undefined;
  last: Mark | undefined;
  latest: string;
}

/**
 * Lost output. skipped: the engine still has the bytes but skipped them while it was followed, so they can be counted. evicted: the engine's log was full, so it
 * deleted what was written between these times.
 */
export type Gap =
  | ({ readonly kind: "skipped" } & Readonly<Record<Stream, number>>)
  | { readonly kind: "evicted"; readonly from: string; readonly to: string };

/** Approximate most bytes that are read again after an interruption, however long the run is. */
const reanchorBytes = 4 * 1024 * 1024;
/** The engine stamps both streams in parallel but writes them in sequence, so times may be out of order by less than this. */
const disorderMs = 2000;

/**
 * Decides for each entry whether it was read before, across interruptions at any moment. It counts entries from an anchor in the engine's order, so times need
 * neither be distinct nor rise. If the anchor was rotated away it searches the last entry read; if that is gone too, it reports lost output.
 */
export class LogCursor {
  #position: Position;
  #mode: "start" | "counting" | "searching" | "taking" | "afterGap" = "start";
  #seen = 0;
  #seenText = noText();
  #head: Mark | undefined;
  /** Set if the count did not end at the last entry read, because the engine skipped entries while it was followed. */
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

  /** Time from which to read; undefined: from the beginning. */
  get since(): string | undefined {
    return this.#position.anchor.since || undefined;
  }

  /** Whether nothing was read yet. */
  get isFresh(): boolean {
    return this.#position.last === undefined;
  }

  /** Whether the place was not found where it was expected. */
  get searching(): boolean {
    return this.#mode === "searching";
  }

  /** Call it before the first entry of each reading. */
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

  /** Call it after the last entry of a complete reading. True if the last entry read before is gone, so that an unknown amount is lost. */
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
    // Some of the entries that share the head's time may be rotated away, so this entry's number is unknown.
    if (!same(mark, last!) || (!this.#skipped && this.#head!.at === last!.at)) return false;
    this.#mode = "taking";
    if (this.#skipped) {
      const stdout = Math.max(0, this.#seenText.stdout - anchor.text.stdout);
      const stderr = Math.max(0, this.#seenText.stderr - anchor.text.stderr);
      anchor.count = this.#seen;
      anchor.text = { ...this.#seenText };
      return stdout + stderr > 0 ? { kind: "skipped", stdout, stderr } : false;
    }
    // The head was rotated away after it was read, so the first entry that is left becomes the anchor.
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
    // It is later than all entries before it, so a count that starts at it misses none.
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
