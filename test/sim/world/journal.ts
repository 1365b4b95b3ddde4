import type { HeldRun, Journal, JournalChanges } from "@berth/executor-agent/parts";
import type { Life, VirtualTime } from "./time.ts";

interface Content {
  readonly runs: Map<string, HeldRun>;
  readonly specs: Map<number, Uint8Array>;
  readonly terms: Map<string, number>;
  readonly settledAt: Map<string, number>;
  bootId: string;
}

/** A host's journal on its disk: what was written survives its agent, what was flushed survives the loss of power. */
export class SimDisk {
  readonly id: string;
  readonly #written: { readonly changes: JournalChanges; readonly atMs: number }[] = [];
  #flushed = 0;
  #content = empty();

  constructor(id: string) {
    this.id = id;
  }

  /** Keys of runs that it has, settled ones too. */
  has(key: string): boolean {
    return this.#content.runs.has(key) || this.#content.settledAt.has(key);
  }

  losePower(): void {
    this.#written.length = this.#flushed;
    this.#content = empty();
    for (const { changes, atMs } of this.#written) apply(this.#content, changes, atMs);
  }

  /** As one agent writes it; `onWrite` may end that agent before or after. */
  open(life: Life, time: VirtualTime, flushMs: () => number, onWrite: (when: "before" | "after") => void): Journal {
    const content = (): Content => this.#content;
    return {
      id: this.id,
      load: () => ({
        runs: [...content().runs.values()].map((held) =>
          held.phase.kind === "starting" ? { ...held, phase: { kind: "accepted" as const } } : held,
        ),
        specs: new Map(content().specs),
        terms: new Map(content().terms),
        bootId: content().bootId,
      }),
      write: (changes) => {
        onWrite("before");
        if (!life.alive) throw new Error("this agent is dead");
        const copy = { ...changes, ...(changes.terms && { terms: new Map(changes.terms) }) };
        this.#written.push({ changes: copy, atMs: time.nowMs });
        apply(content(), copy, time.nowMs);
        onWrite("after");
      },
      flush: (done) => {
        const upTo = this.#written.length;
        time.at(life, flushMs(), () => {
          this.#flushed = Math.max(this.#flushed, Math.min(upTo, this.#written.length));
          done();
        });
      },
      remembers: (key) => content().settledAt.has(key),
      forget() {},
    };
  }
}

const empty = (): Content => ({
  runs: new Map(),
  specs: new Map(),
  terms: new Map(),
  settledAt: new Map(),
  bootId: "",
});

function apply(content: Content, changes: JournalChanges, atMs: number): void {
  for (const { id, bytes } of changes.specs ?? []) content.specs.set(id, bytes);
  for (const held of changes.runs ?? []) content.runs.set(held.key, held);
  for (const key of changes.settled ?? []) {
    content.runs.delete(key);
    content.settledAt.set(key, atMs);
  }
  for (const id of changes.droppedSpecs ?? []) content.specs.delete(id);
  for (const [epoch, term] of changes.terms ?? []) content.terms.set(epoch, term);
  content.bootId = changes.bootId ?? content.bootId;
}
