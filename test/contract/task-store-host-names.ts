import { aHost } from "@berth/test-support";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const heardLatelyMs = 15_000;

export function hostNameTests(make: MakeDatabase): void {
  const agent = (agentId: string, journalId = "j") => ({ ...aHost("twin", { journalId }), agentId });
  const see = async (h: Harness, ...hosts: ReturnType<typeof agent>[]) =>
    (await h.store.syncHosts({ hosts, silentHostIds: [], silentAfterMs: 0 })).refused;
  const listed = async (h: Harness) => (await h.store.listHosts()).hosts.find(({ id }) => id === "twin");

  it("refuses a second agent of a host name while the first is heard, and shows that", async () => {
    await using h = await Harness.open(make);
    expect(await see(h, agent("first"))).toEqual([]);
    expect((await listed(h))?.duplicateTime).toBeUndefined();
    for (let i = 0; i < 4; i++) {
      h.nowMs += heardLatelyMs - 1;
      expect(await see(h, agent("second", "k"))).toEqual([0]);
      expect(await see(h, agent("first"))).toEqual([]);
    }
    await expect.poll(async () => (await listed(h))?.duplicateTime).toEqual(new Date(h.nowMs));
    expect(await listed(h)).toMatchObject({ agentId: "first", journalId: "j" });
  });

  it("lets one of two in that ask together for a name that nobody has", async () => {
    await using h = await Harness.open(make);
    expect(await see(h, agent("first"), agent("second"), agent("first"))).toEqual([1]);
    const answers = await Promise.all([see(h, { ...agent("a"), id: "n" }), see(h, { ...agent("b"), id: "n" })]);
    expect(answers.flat()).toEqual([0]);
  });

  it("accepts the second agent of a name once the first is silent, and none right after a start of the store", async () => {
    await using h = await Harness.open(make);
    await see(h, agent("first"));
    h.nowMs += heardLatelyMs;
    expect(await see(h, agent("second", "k"))).toEqual([]);
    expect(await listed(h)).toMatchObject({ agentId: "second", journalId: "k" });
    expect(await see(h, agent("first"))).toEqual([0]);
    h.nowMs += heardLatelyMs;
    await h.reopen(); // heard of nobody while it was down
    expect(await see(h, agent("first"))).toEqual([0]);
    h.nowMs += heardLatelyMs;
    expect(await see(h, agent("first"))).toEqual([]);
  });
}
