import { describe, expect, it } from "vitest";
import { whyRestored } from "./database-life.ts";

const found = { epoch: "e2", epochBefore: "e1", revision: 10, inode: "5", notedInode: "5" };
const mark = { epoch: "e2", revision: 10, number: 3, inode: "5" };

describe("a database that is opened", () => {
  it("goes on with its life after a clean stop, a crash, a lost mark, and before there were marks", () => {
    expect(whyRestored(found, mark)).toBeUndefined();
    expect(whyRestored({ ...found, revision: 12 }, mark)).toBeUndefined();
    expect(whyRestored(found, undefined)).toBeUndefined();
    expect(whyRestored({ ...found, notedInode: "" }, undefined)).toBeUndefined();
    // It died right after it began this epoch.
    expect(whyRestored({ ...found, revision: 2 }, { ...mark, epoch: "e1" })).toBeUndefined();
  });

  it("has another life where it lacks what was acknowledged, or its file is a copy", () => {
    expect(whyRestored({ ...found, revision: 9 }, mark)).toContain("acknowledged");
    expect(whyRestored(found, { ...mark, epoch: "e0" })).toContain("epoch");
    expect(whyRestored({ ...found, inode: "6" }, mark)).toContain("copied");
    expect(whyRestored({ ...found, inode: "6" }, undefined)).toContain("copied");
  });
});
