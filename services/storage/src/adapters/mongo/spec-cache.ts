import type { SpecDoc } from "./spec-doc.ts";

const specsRemembered = 10_000;
/** A longer spec is read again where it is handed out. */
const longestRemembered = 2_048;

/**
 * Specs of late, so that placing and ending a task need not read them again: nothing of them ever changes. One of a task that was deleted meanwhile may still be
 * here; whether a task exists, its record tells. Only what a committed transaction wrote or read goes in.
 */
export class SpecCache {
  readonly #specs = new Map<number, SpecDoc>();

  get(number: number): SpecDoc | undefined {
    return this.#specs.get(number);
  }

  remember(specs: ReadonlyMap<number, SpecDoc | undefined>): void {
    for (const [number, spec] of specs) {
      this.#specs.delete(number); // to the end, as the youngest
      if (!spec) continue;
      const { run_spec: runSpec, ...narrow } = spec;
      this.#specs.set(number, runSpec && runSpec.length > longestRemembered ? narrow : spec);
    }
    for (const oldest of this.#specs.keys()) {
      if (this.#specs.size <= specsRemembered) break;
      this.#specs.delete(oldest);
    }
  }
}
