import { aHost } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { keepsNameMs } from "../domain/host-name.ts";
import { changedHosts, declaredLost, isNameTaken, notYetSilent, recordsAfter, refusedAgents } from "./host-news.ts";
import { saidOf } from "./record/host-record.ts";
import type { HostRecord } from "./record/host-record.ts";

const by = (id: string, agentId: string) => ({ ...aHost(id), agentId });
const stored = (id: string, wishes: Partial<HostRecord> = {}): HostRecord => ({
  said: saidOf(by(id, "a")),
  silent: false,
  lostBy: "",
  seenAt: 5,
  ...wishes,
});
const known = (records: Readonly<Record<string, HostRecord>>) => (id: string) => records[id];

describe("agents of one host name", () => {
  const refused = (hosts: ReturnType<typeof by>[], silentMs: number) => [
    ...refusedAgents(
      hosts,
      (id) => (id === "held" ? "a" : undefined),
      () => silentMs,
    ),
  ];

  it("keeps a name for the agent that has it, until that one was not heard for long", () => {
    expect(refused([by("held", "a"), by("held", "b"), by("free", "b")], 0)).toEqual([1]);
    expect(refused([by("held", "b")], keepsNameMs - 1)).toEqual([0]);
    expect(refused([by("held", "b")], keepsNameMs)).toEqual([]);
  });

  it("gives a name to the first of two that ask together, however long nobody had it", () => {
    expect(refused([by("free", "b"), by("free", "c"), by("free", "b")], keepsNameMs)).toEqual([1]);
    expect(refused([by("held", "b"), by("held", "a")], keepsNameMs)).toEqual([1]);
  });

  it("finds a name taken only by an agent that was not there when this one was judged", () => {
    expect(isNameTaken("a", "a", "b")).toBe(false); // judged beside it: that one was silent for long
    expect(isNameTaken("c", "a", "b")).toBe(true);
    expect(isNameTaken("b", "a", "b")).toBe(false);
    expect(isNameTaken("c", undefined, "b")).toBe(true);
  });
});

describe("news of hosts", () => {
  it("is what an agent says otherwise than before, and that it is heard again", () => {
    const hosts = [by("same", "a"), by("other", "b"), by("back", "a"), by("new", "a")];
    const records = known({ same: stored("same"), other: stored("other"), back: stored("back", { silent: true }) });
    expect(changedHosts(hosts, records).map(({ id }) => id)).toEqual(["other", "back", "new"]);
  });

  it("is no silence of a host that is silent, or that nobody knows", () => {
    const records = known({ up: stored("up"), quiet: stored("quiet", { silent: true }) });
    expect(notYetSilent(["up", "quiet", "nowhere"], records)).toEqual(["up"]);
  });

  it("ends silence and loss where an agent speaks, even where it is called silent in the same breath", () => {
    const lost = declaredLost(stored("h"), "ann");
    expect(lost).toMatchObject({ silent: true, lostBy: "ann", seenAt: 5 });
    const records = known({ h: lost, up: stored("up") });
    const after = recordsAfter({ changed: [by("h", "a")], silent: ["h", "up", "up", "nowhere"] }, records, 9);
    expect([...after]).toEqual([
      ["h", stored("h", { seenAt: 9 })],
      ["up", stored("up", { silent: true })],
    ]);
  });

  it("is not that a host is silent which became it since", () => {
    const records = known({ h: declaredLost(stored("h"), "ann") });
    expect([...recordsAfter({ changed: [], silent: ["h"] }, records, 9)]).toEqual([]);
  });
});
