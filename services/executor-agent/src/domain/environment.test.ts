import { describe, expect, it } from "vitest";
import { scriptCommand, taskEnvironment } from "./environment.ts";

const base = {
  run: { epoch: "01930000-0000-7000-8000-0000c0ffee00", taskId: "17", attempt: 2 },
  user: "ann",
  asked: { HOME: "/home/ann", BERTH_TASK_ID: "forged", K: "v" },
  resources: { cpuMilli: 500, memoryBytes: 1024 },
  array: undefined,
  taskDir: "/files/0/17/work",
  arrayDir: "/files/0/17/work",
  traceParent: "",
  volumes: [{ name: "ref-data", path: "/data/ref" }],
};

describe("taskEnvironment", () => {
  it("says what the task is; the user may set defaults, not our names", () => {
    expect(taskEnvironment(base)).toMatchObject({
      BERTH_TASK_ID: "17",
      BERTH_ATTEMPT: "2",
      BERTH_CPUS: "0.5",
      BERTH_MEMORY_BYTES: "1024",
      HOME: "/home/ann",
      K: "v",
      USER: "ann",
      GODOCKER_JID: "17",
      GODOCKER_PWD: "/files/0/17/work",
      BERTH_RUN: "berth-c0ffee00-17-2",
      BERTH_VOLUME_REF_DATA: "/data/ref",
    });
    expect(taskEnvironment(base)).not.toHaveProperty("BERTH_ARRAY_INDEX");
    expect(taskEnvironment(base)).not.toHaveProperty("TRACEPARENT");
  });

  it("gives an element its index and its array's range, in GO-Docker's two spellings too", () => {
    const env = taskEnvironment({
      ...base,
      run: { ...base.run, taskId: "17.3" },
      array: { first: 1, last: 9, step: 2 },
      traceParent: "00-a-b-01",
    });
    expect(env).toMatchObject({
      BERTH_ARRAY_INDEX: "3",
      BERTH_ARRAY_FIRST: "1",
      BERTH_ARRAY_LAST: "9",
      BERTH_ARRAY_STEP: "2",
      GOGOCKER_TASK_ID: "3",
      GOGOCKER_TASK_LAST: "9",
      GODOCKER_TASK_STEP: "2",
      TRACEPARENT: "00-a-b-01",
    });
  });
});

describe("scriptCommand", () => {
  it("leaves a #! line to the kernel, and gives the rest to a shell", () => {
    expect(scriptCommand("#!/usr/bin/env python3\n", "/c/script")).toEqual(["/c/script"]);
    expect(scriptCommand("echo hello", "/c/script")).toEqual(["/bin/sh", "/c/script"]);
  });
});
