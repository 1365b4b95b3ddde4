import { startCluster, until } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Shown {
  readonly task: {
    readonly state: string;
    readonly exitCode?: number;
    readonly progress?: { readonly live?: number; readonly maxLive?: number; readonly ended?: Record<string, number> };
    readonly spec: { readonly array?: { readonly maxLive?: number } };
  };
}

describe("arrays", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "sim", up: ["--sim-hosts", "4"] });
  });
  afterAll(() => cluster?.close());
  const ok = async (...args: string[]): Promise<string> => {
    const ran = await cluster.berth(args);
    expect(ran, args.join(" ")).toMatchObject({ code: 0 });
    return ran.stdout;
  };
  const submit = async (...args: string[]) =>
    (await ok("submit", "--cpu", "0.1", "--mem", "16M", ...args)).trim().split("\n")[0]!.match(/\d+/)![0];
  const show = async (id: string) => (await cluster.json<Shown>(["show", id])).task;
  const live = async (id: string) => Number((await show(id)).progress?.live ?? 0);

  it("of a million elements are submitted, shown, listed and killed like a single task", async () => {
    const id = await submit("--array", "1-1000000%3", "--", "sim", "1h");
    await until(async () => (await live(id)) === 3, "three elements to run");
    expect(await ok("show", id)).toMatch(/progress +0\/1000000 done, 3 live of at most 3/);
    expect((await ok("ls", id, "--limit", "5")).trim().split("\n").length).toBe(6);
    expect(await ok("ls", id, "--state", "placed,running")).toMatch(new RegExp(`${id}\\.3 `));
    expect(await show(`${id}.999999`)).toMatchObject({ state: "TASK_STATE_PENDING" });
    expect(await ok("kill", `${id}.500000`)).toContain("killed");
    expect(await ok("ls", id, "--state", "killed")).toMatch(new RegExp(`^${id}\\.500000 .*killed`, "m"));
    await ok("kill", `${id}.500001-500003,500010`);
    const waited = await cluster.berth(["wait", `${id}.500001-500003,500010`]);
    expect(waited.stdout.trim().split("\n").toSorted()).toEqual(
      [500_001, 500_002, 500_003, 500_010].map((index) => expect.stringMatching(`^${id}\\.${index}  killed`) as string),
    );
    await ok("kill", id);
    await until(async () => (await show(id)).state === "TASK_STATE_OVER", "the array to be over");
    expect((await show(id)).progress!.ended).toEqual({ killed: 1_000_000 });
  });

  it("run more elements at once, or fewer, as they are told while they run", async () => {
    const id = await submit("--array", "1-50%2", "--", "sim", "1h");
    await until(async () => (await live(id)) === 2, "two elements to run");
    expect(await ok("update", id, "--array-limit", "6")).toMatch(/0\/50 done, \d live of at most 6/);
    await until(async () => (await live(id)) === 6, "six elements to run", 15_000);
    await ok("update", id, "--array-limit", "%1");
    await ok("kill", `${id}.1`);
    await until(async () => (await live(id)) === 5, "five elements to run");
    const shown = await show(id);
    expect(shown.progress).toMatchObject({ maxLive: 1 });
    expect(shown.spec.array).toMatchObject({ maxLive: 2 });
    await ok("update", id, "--array-limit", "none");
    await until(async () => (await live(id)) > 6, "more elements to run", 15_000);
    await ok("kill", id);
    await until(async () => (await show(id)).state === "TASK_STATE_OVER", "the array to be over");
    expect(await cluster.berth(["update", id, "--array-limit", "9"])).toMatchObject({
      stderr: expect.stringContaining("is over"),
    });
    expect(await cluster.berth(["update", `${id}.1`, "--array-limit", "9"])).toMatchObject({ code: 2 });
    expect(await cluster.berth(["update", id])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--array-limit"),
    });
    expect(await cluster.berth(["update", id, "--array-limit", "-3"])).toMatchObject({ code: 2 });
  });

  it("show and list elements that failed", async () => {
    const id = await submit("--array", "1-30", "--", "sim", "0ms", "exit", "3");
    await until(async () => (await show(id)).state === "TASK_STATE_OVER", "the array to be over");
    expect((await ok("ls", id, "--state", "failed", "--limit", "10")).match(/failed \(exit 3\)/g)!.length).toBe(10);
    expect(await show(`${id}.4`)).toMatchObject({ state: "TASK_STATE_OVER", exitCode: 3 });
  });
});
