import { randomBytes } from "node:crypto";
import { isOfThisLife } from "../../domain/held-run.ts";
import type { HeldRun } from "../../domain/held-run.ts";
import type { Journal, LogPositions } from "../../ports/journal.ts";

/** A journal that dies with its process: for simulated hosts and tests. A second agent may be given it, as after a restart. */
export function memoryJournal(now: () => Date = () => new Date()): Journal & { readonly logPositions: LogPositions } {
  const runs = new Map<string, HeldRun>();
  const specs = new Map<number, Uint8Array>();
  const settledAt = new Map<string, number>();
  const positions = new Map<string, string>();
  const terms = new Map<string, number>();
  let bootId = "";
  return {
    id: randomBytes(9).toString("base64url"),
    load: () => ({
      runs: [...runs.values()].map((held) =>
        isOfThisLife(held) ? { ...held, phase: { kind: "accepted" as const } } : held,
      ),
      specs: new Map(specs),
      terms: new Map(terms),
      bootId,
    }),
    write(changes) {
      for (const { id, bytes } of changes.specs ?? []) specs.set(id, bytes);
      for (const held of changes.runs ?? []) runs.set(held.key, held);
      for (const key of changes.settled ?? []) {
        runs.delete(key);
        settledAt.set(key, now().getTime());
      }
      for (const id of changes.droppedSpecs ?? []) specs.delete(id);
      for (const [epoch, term] of changes.terms ?? []) terms.set(epoch, term);
      bootId = changes.bootId ?? bootId;
    },
    flush: (done) => done(),
    remembers: (key) => settledAt.has(key),
    forget(before) {
      for (const [key, at] of settledAt) {
        if (at >= before.getTime()) return; // insertion order is the order of settling
        settledAt.delete(key);
      }
    },
    logPositions: {
      get: (key) => positions.get(key),
      set: (key, position) => void positions.set(key, position),
      delete: (keys) => keys.forEach((key) => positions.delete(key)),
    },
  };
}
