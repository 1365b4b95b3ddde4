import { describe, expect, it } from "vitest";
import { keepsNameMs, maySpeakFor } from "./host-name.ts";

describe("who may speak for a host name", () => {
  it.each([
    ["nobody did before", undefined, "a", 0, true],
    ["one that told no id", "", "a", 0, true],
    ["the same agent, or one restarted at its place", "a", "a", 0, true],
    ["another, while the first is heard", "a", "b", keepsNameMs - 1, false],
    ["one without an id, while the first is heard", "a", "", 0, false],
    ["another, once the first is silent", "a", "b", keepsNameMs, true],
  ])("%s", (_, holder, agentId, silentMs, may) => expect(maySpeakFor(holder, agentId, silentMs)).toBe(may));
});
