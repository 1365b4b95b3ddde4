import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HostIndex } from "./host-index.ts";

describe("HostIndex", () => {
  it("finds what a search through all slots finds, whatever was set before", () => {
    const entry = fc.record({
      slot: fc.nat(99),
      cpu: fc.integer({ min: -1, max: 8 }),
      memory: fc.integer({ min: -1, max: 8 }),
    });
    const ask = fc.record({ from: fc.nat(120), cpu: fc.nat(8), memory: fc.nat(8) });
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 200 }),
        fc.array(ask, { minLength: 1, maxLength: 20 }),
        (entries, asks) => {
          const index = new HostIndex();
          const plain: { cpu: number; memory: number }[] = [];
          for (const { slot, cpu, memory } of entries) {
            index.set(slot, cpu, memory);
            plain[slot] = { cpu, memory };
          }
          for (const { from, cpu, memory } of asks) {
            const wanted = plain.findIndex(
              (has, slot) => has !== undefined && slot >= from && has.cpu >= cpu && has.memory >= memory,
            );
            expect(index.next(from, cpu, memory)).toBe(wanted);
          }
        },
      ),
    );
  });
});
