import type { SpecDoc } from "./spec-doc.ts";

const specsRemembered = 10_000;
/** Longer specs are not cached; they are read again for each assignment. */
const longestRemembered = 2_048;

/**
 * Cache of recently used specs, which never change: placing and ending a task then reads no spec. It may still hold the spec of a deleted task; only the task's
 * record tells whether it exists. Only what a committed transaction wrote or read is added.
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
