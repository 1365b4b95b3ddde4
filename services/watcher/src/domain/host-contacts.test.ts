import { describe, expect, it } from "vitest";
import { HostContacts } from "./host-contacts.ts";

describe("HostContacts", () => {
  it("calls nobody silent before it has itself listened for as long", () => {
    const contacts = new HostContacts(1000);
    contacts.heard("h1", 20_000);
    expect(contacts.silent(["h1", "h2"], 30_000, 30_999)).toEqual([]);
    expect(contacts.silent(["h1", "h2"], 30_000, 31_000)).toEqual(["h2"]);
    expect(contacts.silent(["h1", "h2"], 30_000, 50_000)).toEqual(["h1", "h2"]);
  });

  it("counts no time in which it could not hear, or stood still", () => {
    const contacts = new HostContacts(0);
    contacts.heard("h1", 2_000);
    contacts.listen(true, 4_000);
    expect([contacts.listenedMs("h1", 5_000), contacts.listenedMs("h2", 5_000)]).toEqual([3_000, 5_000]);
    contacts.listen(true, 9_001);
    expect(contacts.listenedMs("h1", 10_000)).toBe(999);
    contacts.listen(false, 12_000);
    expect(contacts.listenedMs("h1", 12_500)).toBe(500);
  });

  it("calls a host steady once the database knew of it long enough, without a gap", () => {
    const contacts = new HostContacts(0);
    expect(contacts.isSteady("h1", 15, 30, 0)).toBe(false);
    for (const at of [0, 10, 20, 30]) contacts.noteSeen("h1", 15, at);
    expect([contacts.isSteady("h1", 15, 30, 29), contacts.isSteady("h1", 15, 30, 31)]).toEqual([false, true]);
    expect(contacts.isSteady("h1", 15, 30, 45)).toBe(false);
    contacts.noteSeen("h1", 15, 45);
    expect(contacts.isSteady("h1", 15, 30, 46)).toBe(false);
  });

  it("believes a journal only after a while, and anew for each new one", () => {
    const contacts = new HostContacts(0);
    expect(contacts.journalSettled("h1", "j1", 0)).toBe(false);
    expect(contacts.journalSettled("h1", "j1", 10_000)).toBe(true);
    expect(contacts.journalSettled("h1", "j2", 10_001)).toBe(false);
    expect(contacts.journalSettled("h1", "j1", 30_000)).toBe(false);
  });
});
