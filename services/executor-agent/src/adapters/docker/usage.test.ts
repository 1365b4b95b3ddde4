import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EngineClient, EngineFacts } from "./engine-client.ts";
import { hasMemoryPeak, usageMeter } from "./usage.ts";

const run = { epoch: "01930000-0000-7000-8000-0000c0ffee00", taskId: "17", attempt: 1 };
const client = (stats: object): EngineClient => ({ stats: async () => stats }) as unknown as EngineClient;
const facts = (driver: string, version: string): EngineFacts =>
  ({ CgroupDriver: driver, CgroupVersion: version }) as unknown as EngineFacts;

describe("usageMeter", () => {
  let root: string;
  beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "berth-cgroup-"))));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const put = (path: string, text: string): void => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  };

  it("reads version 1, where each controller has a tree of its own", async () => {
    put("cpu,cpuacct/berth/c/berth-c0ffee00-17-1/cpuacct.usage", "47065174\n");
    put("memory/berth/c/berth-c0ffee00-17-1/memory.max_usage_in_bytes", "3813376\n");
    const meter = usageMeter(client({}), facts("cgroupfs", "1"), "c", true, root);
    expect(meter.cgroupParent!(run)).toBe("/berth/c/berth-c0ffee00-17-1");
    expect(await meter.read(run, "x")).toEqual({ cpuMs: 47, peakMemoryBytes: 3_813_376 });
  });

  it("reads version 2", async () => {
    put("cgroup.controllers", "cpu memory\n");
    put("berth/c/berth-c0ffee00-17-1/cpu.stat", "usage_usec 47065\nuser_usec 1\n");
    put("berth/c/berth-c0ffee00-17-1/memory.peak", "3813376\n");
    const meter = usageMeter(client({}), facts("cgroupfs", "2"), "c", true, root);
    expect(await meter.read(run, "x")).toEqual({ cpuMs: 47, peakMemoryBytes: 3_813_376 });
  });

  it("says nothing of what it cannot read", async () => {
    put("cgroup.controllers", "cpu\n");
    const meter = usageMeter(client({}), facts("cgroupfs", "2"), "c", true, root);
    expect(await meter.read(run, "x")).toEqual({ cpuMs: undefined, peakMemoryBytes: undefined });
  });

  it("asks the engine where cgroups are systemd's or another machine's, and promises nothing", async () => {
    const stats = { cpu_stats: { cpu_usage: { total_usage: 5_000_000 } }, memory_stats: { usage: 7 } };
    put("cgroup.controllers", "cpu\n");
    for (const meter of [
      usageMeter(client(stats), facts("systemd", "2"), "c", true, root),
      usageMeter(client(stats), facts("cgroupfs", "2"), "c", false, root),
    ]) {
      expect(meter.cgroupParent).toBeUndefined();
      expect(meter.measures).toEqual([]);
      expect(await meter.read(run, "x")).toEqual({ cpuMs: 5, peakMemoryBytes: undefined });
    }
  });

  it("removes all but the runs that are there, and at last itself", () => {
    for (const name of ["berth-c0ffee00-17-1", "berth-c0ffee00-18-1/container"])
      mkdirSync(join(root, "memory/berth/c", name), { recursive: true });
    const meter = usageMeter(client({}), facts("cgroupfs", "1"), "c", true, root);
    meter.keepOnly([run]);
    expect(existsSync(join(root, "memory/berth/c/berth-c0ffee00-17-1"))).toBe(true);
    expect(existsSync(join(root, "memory/berth/c/berth-c0ffee00-18-1"))).toBe(false);
    meter.keepOnly([]);
    expect(existsSync(join(root, "memory/berth"))).toBe(false);
  });
});

it("knows since when there is a peak", () => {
  expect(["5.10.0-23", "5.19.0", "6.1.0", "4.18"].map(hasMemoryPeak)).toEqual([false, true, true, false]);
});
