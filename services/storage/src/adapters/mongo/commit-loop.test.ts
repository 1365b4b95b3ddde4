import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { commitLoop } from "./commit-loop.ts";

/** A commit that waits until it is let go. */
function gate() {
  const batches: string[][] = [];
  const open: (() => void)[] = [];
  const commit = async (calls: readonly string[]) => {
    batches.push([...calls]);
    await new Promise<void>((resolve) => open.push(resolve));
    return calls.map((value) => ({ value }));
  };
  const letGo = async () => {
    while (open.length === 0) await new Promise((resolve) => setImmediate(resolve));
    open.shift()!();
  };
  return { batches, commit, letGo };
}

describe("commitLoop", () => {
  it("shares a commit among what comes together, and the next among what comes meanwhile", async () => {
    const { batches, commit, letGo } = gate();
    const loop = commitLoop(commit);
    const first = [loop.run("a"), loop.run("b")];
    await new Promise((resolve) => setImmediate(resolve));
    const meanwhile = [loop.run("c"), loop.run("d"), loop.run("e")];
    await letGo();
    await letGo();
    expect(await Promise.all([...first, ...meanwhile])).toEqual(["a", "b", "c", "d", "e"]);
    expect(batches).toEqual([
      ["a", "b"],
      ["c", "d", "e"],
    ]);
  });

  it("bounds a commit by weight, and takes one that is too heavy alone", async () => {
    const batches: number[] = [];
    const loop = commitLoop<number>(
      async (calls) => {
        batches.push(calls.length);
        return calls.map((value) => ({ value }));
      },
      { maxItems: 10 },
    );
    await Promise.all([4, 4, 4, 50, 1, 9, 1].map((weight) => loop.run(weight, weight)));
    expect(batches).toEqual([2, 1, 1, 2, 1]);
  });

  it("fails alone what is at fault, all of what is nobody's", async () => {
    const fault = new Error("too large");
    const loop = commitLoop<string>(async (calls) => {
      if (calls.includes("bad")) throw fault;
      if (calls.includes("away")) throw new AppError("unavailable", "COMMIT_FAILED", "away");
      return calls.map((value) => ({ value }));
    });
    expect(await Promise.allSettled(["a", "bad", "b"].map((call) => loop.run(call)))).toEqual([
      { status: "fulfilled", value: "a" },
      { status: "rejected", reason: fault },
      { status: "fulfilled", value: "b" },
    ]);
    const away = await Promise.allSettled(["c", "away"].map((call) => loop.run(call)));
    for (const each of away) expect(each).toMatchObject({ status: "rejected", reason: { reason: "COMMIT_FAILED" } });
  });

  it("refuses what is too much or waited too long, and everything once it is closed", async () => {
    const { commit, letGo } = gate();
    const loop = commitLoop(commit, { maxQueued: 2, maxWaitMs: 20 });
    const first = loop.run("a");
    await new Promise((resolve) => setImmediate(resolve));
    const late = loop.run("b");
    void late.catch(() => {});
    void loop.run("c").catch(() => {});
    await expect(loop.run("d")).rejects.toMatchObject({ code: "unavailable", reason: "QUEUE_FULL" });
    await new Promise((resolve) => setTimeout(resolve, 40));
    await letGo();
    expect(await first).toBe("a");
    await expect(late).rejects.toMatchObject({ code: "unavailable", reason: "QUEUE_TIMEOUT" });
    await loop.close();
    await expect(loop.run("e")).rejects.toMatchObject({ reason: "STORAGE_CLOSED" });
  });
});
