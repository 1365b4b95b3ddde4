import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { version2Cgroups } from "../host-cgroups.ts";
import { RunCgroup } from "./cgroup.ts";
import { RunCgroups } from "./run-cgroups.ts";

/** Plain files in place of the kernel's: what is written to them stays to be seen. */
describe("cgroups of version 2, as the kernel names their files", () => {
  let root: string;
  beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "berth-cgroup-"))));
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const at = (...names: string[]) => join(root, ...names);
  const read = (...names: string[]) => readFileSync(at(...names), "utf8");

  /** The files that the kernel makes in a cgroup. */
  function files(dir: string, contents: Readonly<Record<string, string>> = {}): void {
    mkdirSync(dir, { recursive: true });
    const usual = { "cgroup.subtree_control": "", "cgroup.procs": "", "cgroup.freeze": "0", "cgroup.events": "" };
    for (const [name, text] of Object.entries({ ...usual, ...contents })) writeFileSync(join(dir, name), text);
  }
  const run = (memory = true) => {
    files(at("r"), { "memory.swap.max": "" });
    return new RunCgroup({ version: 2, main: root, ...(memory ? { memory: root } : {}), cpu: root, homes: [] }, "r");
  };

  it("limit memory, and swap with it", () => {
    run().make(64 * 2 ** 20);
    expect([read("r", "memory.max"), read("r", "memory.swap.max")]).toEqual(["67108864", "0"]);
  });

  it("limit nothing where the controller is not passed on", () => {
    const cgroup = run(false);
    cgroup.make(64 * 2 ** 20);
    expect([existsSync(at("r", "memory.max")), cgroup.limitsMemory, cgroup.oomKills]).toEqual([false, false, 0]);
  });

  it("tell members, emptiness, cpu time and kills for want of memory", () => {
    const cgroup = run();
    files(at("r"), {
      "cgroup.procs": "12\n13\n",
      "cgroup.events": "populated 1\nfrozen 0\n",
      "cpu.stat": "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n",
      "memory.events": "low 0\nhigh 0\nmax 31\noom 4\noom_kill 3\noom_group_kill 0\n",
    });
    expect([cgroup.members(), cgroup.isEmpty, cgroup.cpuMs, cgroup.oomKills]).toEqual([[12, 13], false, 1234.567, 3]);
    files(at("r"), { "cgroup.events": "populated 0\nfrozen 0\n" });
    expect(cgroup.isEmpty).toBe(true);
  });

  it("freeze and thaw", () => {
    const cgroup = run();
    cgroup.freeze();
    expect([read("r", "cgroup.freeze"), cgroup.isFrozen]).toEqual(["1", true]);
    cgroup.thaw();
    expect([read("r", "cgroup.freeze"), cgroup.isFrozen]).toEqual(["0", false]);
  });

  it("kill by one write where the kernel can", () => {
    const cgroup = run();
    files(at("r"), { "cgroup.kill": "", "cgroup.procs": "not to be read\n" });
    cgroup.kill();
    expect([read("r", "cgroup.kill"), read("r", "cgroup.freeze")]).toEqual(["1", "0"]);
  });

  it("kill each member, frozen meanwhile, on a kernel before 5.14", async () => {
    const cgroup = run();
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    files(at("r"), { "cgroup.procs": `${child.pid}\n` });
    cgroup.kill();
    expect((await once(child, "exit"))[1]).toBe("SIGKILL");
    expect([read("r", "cgroup.freeze"), existsSync(at("r", "cgroup.kill"))]).toEqual(["0", false]);
  });

  it("pass the memory controller on, level by level, and limit nothing where one level may not", () => {
    const base = at("berth-runs", "host");
    files(at("berth-runs"));
    files(base);
    const cgroups = version2Cgroups(base);
    expect(cgroups.limitsMemory).toBe(true);
    files(join(base, "k"));
    expect(cgroups.make("k")).toEqual({
      version: 2,
      main: join(base, "k"),
      memory: join(base, "k"),
      cpu: join(base, "k"),
      homes: [join(base, "k", "keeper")],
    });
    for (const dir of [at("berth-runs"), base, join(base, "k")])
      expect(readFileSync(join(dir, "cgroup.subtree_control"), "utf8"), dir).toBe("+memory");
    rmSync(join(base, "cgroup.subtree_control"));
    const watched = version2Cgroups(base);
    expect([watched.limitsMemory, watched.placeOf("k").memory]).toEqual([false, undefined]);
  });

  it("kill a child that cannot be moved into its own, with what it forked", async () => {
    const home = at("keeper");
    files(home);
    const cgroups = new RunCgroups({ version: 2, main: root, cpu: root, homes: [home] });
    mkdirSync(at("run", "cgroup.procs"), { recursive: true }); // no file to write to
    const [child, forked] = [spawn("sleep", ["60"]), spawn("sleep", ["60"])];
    const ended = Promise.all([child, forked].map((each) => once(each, "exit")));
    writeFileSync(join(home, "cgroup.procs"), `${process.pid}\n${forked.pid}\n`);
    expect(() => cgroups.spawnIn("run", () => child.pid!)).toThrow("EISDIR");
    expect((await ended).map(([, signal]) => signal as string)).toEqual(["SIGKILL", "SIGKILL"]);
    cgroups.close();
  });
});
