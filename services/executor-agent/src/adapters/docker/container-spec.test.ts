import type { TaskToRun } from "@berth/plugins";
import { describe, expect, it } from "vitest";
import { containerBody, isLeased, labelsOf, runOf } from "./container-spec.ts";
import type { ContainerSite } from "./container-spec.ts";

const run = { epoch: "01930000-0000-7000-8000-0000c0ffee00", taskId: "17.4", attempt: 2 };
const aTask = (more: Partial<TaskToRun> = {}): TaskToRun => ({
  run,
  identity: { user: "ann", uid: 1000, gid: 100, groups: [7] },
  image: "busybox",
  command: ["true"],
  env: {},
  workdir: undefined,
  resources: { cpuMilli: 1500, memoryBytes: 2 ** 29 },
  mounts: [],
  network: "none",
  taskDir: "/files/t",
  controlDir: undefined,
  stdoutPath: "",
  stderrPath: "",
  ...more,
});
const aSite = (more: Partial<ContainerSite> = {}): ContainerSite => ({
  clusterId: "c",
  rootless: false,
  limits: { memory: true, cpu: true, pids: true },
  cpus: 4,
  init: true,
  cgroupParent: undefined,
  pidsLimit: 100,
  logBuffer: { maxBytes: 1000, files: 3 },
  ...more,
});
type Body = Readonly<Record<string, unknown>> & { HostConfig: Readonly<Record<string, unknown>> };
const bodyOf = (task: TaskToRun, site = aSite()): Body => containerBody(task, site, task.mounts) as Body;

describe("containerBody", () => {
  it("says whether the run has a lease", () => {
    const labels = (task: TaskToRun) => bodyOf(task)["Labels"] as Record<string, string>;
    expect(isLeased(labels(aTask({ leaseUntilBootMs: 1 })))).toBe(true);
    expect(isLeased(labels(aTask()))).toBe(false);
    expect(runOf("c", labels(aTask({ leaseUntilBootMs: 1 })))).toEqual(run);
  });

  it("sets identity, limits and no privilege", () => {
    const { User, HostConfig } = bodyOf(aTask());
    expect(User).toBe("1000:100");
    expect(HostConfig).toMatchObject({
      GroupAdd: ["7"],
      NanoCpus: 1.5e9,
      Memory: 2 ** 29,
      MemorySwap: 2 ** 29,
      PidsLimit: 100,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
    });
  });

  it("is 0:0, without what is not enforced, on a rootless engine without delegation", () => {
    const { User, HostConfig } = bodyOf(
      aTask(),
      aSite({ rootless: true, limits: { memory: false, cpu: false, pids: false } }),
    );
    expect(User).toBe("0:0");
    expect(HostConfig).toMatchObject({ GroupAdd: [] });
    for (const limit of ["NanoCpus", "Memory", "PidsLimit"]) expect(HostConfig).not.toHaveProperty(limit);
  });

  it("asks neither for less than an engine takes, nor for more processors than there are", () => {
    expect(bodyOf(aTask({ resources: { cpuMilli: 1, memoryBytes: 2 ** 22 } })).HostConfig).toMatchObject({
      NanoCpus: 1e7,
      Memory: 6 * 2 ** 20,
    });
    expect(bodyOf(aTask({ resources: { cpuMilli: 9000, memoryBytes: 2 ** 30 } })).HostConfig).toMatchObject({
      NanoCpus: 4e9,
    });
  });

  it("rewrites its own paths and nobody else's", () => {
    const env = {
      BERTH_TASK_DIR: "/files/t",
      HOME: "/files/t/home",
      BERTH_ARRAY_DIR: "/files/a",
      X: "/files/t",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };
    const body = bodyOf(
      aTask({ env, command: ["/bin/sh", "/ctl/1/script", "/ctl/11"], controlDir: "/ctl/1", workdir: "/files/t/sub" }),
    );
    expect(body["Env"]).toEqual([
      "BERTH_TASK_DIR=/berth/task",
      "HOME=/berth/task/home",
      "BERTH_ARRAY_DIR=/berth/array",
      "X=/files/t",
    ]);
    expect(body["Cmd"]).toEqual(["/bin/sh", "/berth/control/script", "/ctl/11"]);
    expect(body["WorkingDir"]).toBe("/berth/task/sub");
    expect(body.HostConfig["Mounts"]).toEqual([
      { Type: "bind", Source: "/files/t", Target: "/berth/task", ReadOnly: false },
      { Type: "bind", Source: "/files/a", Target: "/berth/array", ReadOnly: true },
      { Type: "bind", Source: "/ctl/1", Target: "/berth/control", ReadOnly: true },
    ]);
  });

  it("leaves a user's own PATH", () =>
    expect(bodyOf(aTask({ env: { PATH: "/opt/bin" } }))["Env"]).toEqual(["PATH=/opt/bin"]));
});

describe("labels", () => {
  it("tell the run again, in the same cluster only", () => {
    expect(runOf("c", labelsOf("c", run))).toEqual(run);
    expect(runOf("other", labelsOf("c", run))).toBeUndefined();
    expect(runOf("c", { ...labelsOf("c", run), "berth.attempt": "x" })).toBeUndefined();
    expect(runOf("c", null)).toBeUndefined();
  });
});
