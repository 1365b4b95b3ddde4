import { describe, expect, it } from "vitest";
import { mergeWishes, readers } from "./task-wish.ts";
import type { TaskWish } from "./task-wish.ts";

describe("mergeWishes", () => {
  it("adds dependencies up; on one task, success is asked for if either asks", () => {
    const after: TaskWish = readers.after("12,13", "--after");
    const ok: TaskWish = readers.afterok("12", "--afterok");
    for (const merged of [mergeWishes(after, ok), mergeWishes(ok, after)])
      expect(new Set(merged.dependencies)).toEqual(
        new Set([
          { kind: "KIND_AFTER_OK", taskId: "12" },
          { kind: "KIND_AFTER", taskId: "13" },
        ]),
      );
  });
});
