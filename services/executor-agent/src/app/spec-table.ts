import { createHash } from "node:crypto";
import { RunSpec } from "@berth/contracts/types";
import { hostLeaseOf } from "@berth/contracts";
import { defaultResources } from "@berth/core";
import type { Needs } from "../domain/held-run.ts";

interface Entry {
  readonly id: number;
  readonly hash: string;
  readonly spec: RunSpec;
  runs: number;
  /** Its bytes, until they are handed to the journal. */
  unsaved: Uint8Array | undefined;
}

const defaultTimeLimitMs = 7 * 86_400_000;
const defaultGraceMs = 10_000;

/** The specs of this host's runs, each stored once: the elements of an array share one. */
export class SpecTable {
  readonly #byId = new Map<number, Entry>();
  readonly #byHash = new Map<string, Entry>();
  #nextId = 1;

  load(specs: ReadonlyMap<number, Uint8Array>): void {
    for (const [id, bytes] of specs) {
      this.#add(id, hashOf(bytes), RunSpec.decode(bytes), undefined);
      this.#nextId = Math.max(this.#nextId, id + 1);
    }
  }

  get(id: number): RunSpec | undefined {
    return this.#byId.get(id)?.spec;
  }

  /** The id of a spec: that of an equal one, else a new one. */
  intern(spec: RunSpec): number {
    const bytes = RunSpec.encode(spec).finish();
    const hash = hashOf(bytes);
    const known = this.#byHash.get(hash);
    if (known) return known.id;
    const id = this.#nextId++;
    this.#add(id, hash, spec, bytes);
    return id;
  }

  /** Of these specs, those that were not yet given to the journal; marks them as given. */
  takeUnsaved(ids: Iterable<number>): { readonly id: number; readonly bytes: Uint8Array }[] {
    const unsaved: { id: number; bytes: Uint8Array }[] = [];
    for (const id of ids) {
      const entry = this.#byId.get(id);
      if (entry?.unsaved === undefined) continue;
      unsaved.push({ id, bytes: entry.unsaved });
      entry.unsaved = undefined;
    }
    return unsaved;
  }

  /** Counts one more run that needs the spec. */
  hold(id: number): void {
    const entry = this.#byId.get(id);
    if (entry) entry.runs += 1;
  }

  /** Counts one run fewer; true if that was the last, and the spec was dropped. */
  release(id: number): boolean {
    const entry = this.#byId.get(id);
    if (!entry) return false;
    entry.runs -= 1;
    return this.drop(id);
  }

  /** Drops a spec if no run needs it; true if it did. */
  drop(id: number): boolean {
    const entry = this.#byId.get(id);
    if (!entry || entry.runs > 0) return false;
    this.#byId.delete(id);
    this.#byHash.delete(entry.hash);
    return true;
  }

  /** Ids of all specs that no run needs. */
  unneeded(): number[] {
    return [...this.#byId.values()].filter(({ runs }) => runs <= 0).map(({ id }) => id);
  }

  #add(id: number, hash: string, spec: RunSpec, unsaved: Uint8Array | undefined): void {
    const entry = { id, hash, spec, runs: 0, unsaved };
    this.#byId.set(id, entry);
    this.#byHash.set(hash, entry);
  }
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64");

/** The parts of a spec that decide about a run's life. The server sets all of them; the defaults are for servers of an older version. */
export function needsOf({ spec }: RunSpec): Needs {
  return {
    resources: {
      cpuMilli: spec?.resources?.cpuMilli || defaultResources.cpuMilli,
      memoryBytes: spec?.resources?.memoryBytes || defaultResources.memoryBytes,
    },
    timeLimitMs: spec?.timeLimitMs || defaultTimeLimitMs,
    graceMs: spec?.graceMs || defaultGraceMs,
    leaseMs: (spec && hostLeaseOf(spec)?.leaseMs) ?? 0,
  };
}
