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

  it("counts no time in which it could not hear, or stood still", () => {
    const hearing = new Hearing(0);
    hearing.heard("h1", 2_000);
    hearing.listen(true, 4_000);
    expect([hearing.listenedMs("h1", 5_000), hearing.listenedMs("h2", 5_000)]).toEqual([3_000, 5_000]);
    hearing.listen(true, 9_001);
    expect(hearing.listenedMs("h1", 10_000)).toBe(999);
    hearing.listen(false, 12_000);
    expect(hearing.listenedMs("h1", 12_500)).toBe(500);
  });

  it("calls a host steady once the database knew of it long enough, without a gap", () => {
    const hearing = new Hearing(0);
    expect(hearing.isSteady("h1", 15, 30, 0)).toBe(false);
    for (const at of [0, 10, 20, 30]) hearing.noteSeen("h1", 15, at);
    expect([hearing.isSteady("h1", 15, 30, 29), hearing.isSteady("h1", 15, 30, 31)]).toEqual([false, true]);
    expect(hearing.isSteady("h1", 15, 30, 45)).toBe(false);
    hearing.noteSeen("h1", 15, 45);
    expect(hearing.isSteady("h1", 15, 30, 46)).toBe(false);
  });

  it("believes a journal only after a while, and anew for each new one", () => {
    const hearing = new Hearing(0);
    expect(hearing.journalSettled("h1", "j1", 0)).toBe(false);
    expect(hearing.journalSettled("h1", "j1", 10_000)).toBe(true);
    expect(hearing.journalSettled("h1", "j2", 10_001)).toBe(false);
    expect(hearing.journalSettled("h1", "j1", 30_000)).toBe(false);
  });
});
