import { describe, expect, it } from "vitest";
import { Problems } from "./problems.ts";

describe("Problems", () => {
  it("says since when each fails, with the last message, until it went well", () => {
    let ms = 0;
    const problems = new Problems(() => new Date(ms));
    problems.set("PLAN_FAILED", "first");
    ms = 5;
    problems.set("SNAPSHOT_FAILED", "other");
    problems.set("PLAN_FAILED", "second");
    expect(problems.list()).toEqual([
      { code: "PLAN_FAILED", message: "second", sinceTime: new Date(0) },
      { code: "SNAPSHOT_FAILED", message: "other", sinceTime: new Date(5) },
    ]);
    problems.clear("PLAN_FAILED");
    problems.clear("PLAN_FAILED");
    problems.set("PLAN_FAILED", "again");
    expect(problems.list()).toMatchObject([{ code: "SNAPSHOT_FAILED" }, { sinceTime: new Date(5), message: "again" }]);
  });
});
