import { describe, expect, it } from "vitest";
import { Hearing } from "./hearing.ts";

describe("Hearing", () => {
  it("calls nobody silent before it has itself listened for as long", () => {
    const hearing = new Hearing(1000);
    hearing.heard("h1", 20_000);
    expect(hearing.silent(["h1", "h2"], 30_000, 30_999)).toEqual([]);
    expect(hearing.silent(["h1", "h2"], 30_000, 31_000)).toEqual(["h2"]);
    expect(hearing.silent(["h1", "h2"], 30_000, 50_000)).toEqual(["h1", "h2"]);
  });

  it("believes a journal only after a while, and anew for each new one", () => {
    const hearing = new Hearing(0);
    expect(hearing.journalSettled("h1", "j1", 0)).toBe(false);
    expect(hearing.journalSettled("h1", "j1", 10_000)).toBe(true);
    expect(hearing.journalSettled("h1", "j2", 10_001)).toBe(false);
    expect(hearing.journalSettled("h1", "j1", 30_000)).toBe(false);
  });
});
