import { describe, expect, it } from "vitest";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { check } from "./check.ts";
import { submitRequest } from "./task-spec.ts";

/** A request as it comes off the wire. */
const wire = (spec: object, rest: object = {}) =>
  SubmitTaskRequest.decode(SubmitTaskRequest.encode(SubmitTaskRequest.fromJSON({ spec, ...rest })).finish());
const ok = { command: ["echo", "hi"] };

describe("the check of a submit", () => {
  it.each([
    ["the least", ok],
    [
      "the longest word and variable that Linux takes",
      { command: ["a", "b".repeat(131_071)], env: { X: "x".repeat(131_069) } },
    ],
    ["a script", { script: "#!/bin/sh\necho hi" }],
    [
      "everything",
      {
        ...ok,
        name: "a.b-c_1",
        project: "p",
        image: "registry.example:5000/a/b@sha256:00",
        env: { A: "1", _b: "" },
        resources: { cpuMilli: 1, memoryBytes: 4194304 },
        volumes: [{ name: "db" }],
        workdir: "/w",
        priority: -100,
        array: { first: 0, last: 9, step: 3, maxLive: 2 },
        dependencies: [{ kind: "KIND_AFTER_OK", taskId: "3" }],
        timeLimitMs: 1,
        graceMs: 1,
        files: [{ path: "a/b.txt", content: "aGk=" }],
        network: "NETWORK_BRIDGE",
        onHostLost: "ON_HOST_LOST_RETRY",
        hostLeaseMs: 10_000,
      },
    ],
  ])("accepts %s", (_, spec) => check(submitRequest, wire(spec, { requestId: "a:1" })));

  it.each<[string, string, object, object?]>([
    ["spec.command", "INVALID_COMMAND", {}],
    ["spec.command", "INVALID_COMMAND", { command: [""] }],
    ["spec.command[1]", "INVALID_COMMAND", { command: ["a", "b\0"] }],
    ["spec.command[1]", "INVALID_COMMAND", { command: ["a", "b".repeat(131_072)] }],
    ["spec.command", "INVALID_COMMAND", { command: ["a", ...Array.from({ length: 9 }, () => "é".repeat(65_000))] }],
    ["spec.env.X", "INVALID_ENV", { ...ok, env: { X: "x".repeat(131_070) } }],
    ["spec.script", "INVALID_SCRIPT", { ...ok, script: "x" }],
    ["spec.script", "INVALID_SCRIPT", { script: "x".repeat(1024 * 1024 + 1) }],
    ["spec.name", "INVALID_NAME", { ...ok, name: "a b" }],
    ["spec.name", "INVALID_NAME", { ...ok, name: "a".repeat(129) }],
    ["spec.project", "INVALID_PROJECT", { ...ok, project: "../x" }],
    ["spec.image", "INVALID_IMAGE", { ...ok, image: "a b" }],
    ["spec.env.1A", "INVALID_ENV", { ...ok, env: { "1A": "" } }],
    ["spec.env.BERTH_TASK_ID", "INVALID_ENV", { ...ok, env: { BERTH_TASK_ID: "3" } }],
    ["spec.env.name", "INVALID_ENV", { ...ok, env: { name: "\0" } }],
    ["spec.resources.cpu_milli", "INVALID_CPU", { ...ok, resources: { cpuMilli: -5 } }],
    ["spec.resources.cpu_milli", "INVALID_CPU", { ...ok, resources: { cpuMilli: 1_024_001 } }],
    ["spec.resources.memory_bytes", "INVALID_MEMORY", { ...ok, resources: { memoryBytes: 1024 } }],
    ["spec.volumes[0].name", "INVALID_NAME", { ...ok, volumes: [{ name: "/etc" }] }],
    ["spec.volumes[1]", "INVALID_VOLUME", { ...ok, volumes: [{ name: "a" }, { name: "a", readOnly: true }] }],
    ["spec.workdir", "INVALID_WORKDIR", { ...ok, workdir: "w" }],
    ["spec.workdir", "INVALID_WORKDIR", { ...ok, workdir: "/\u001b[2J" }],
    ["spec.workdir", "INVALID_WORKDIR", { ...ok, workdir: `/${"é".repeat(2_048)}` }],
    ["spec.priority", "INVALID_PRIORITY", { ...ok, priority: 101 }],
    ["spec.array", "INVALID_ARRAY", { ...ok, array: { first: 5, last: 4, step: 1 } }],
    ["spec.array", "INVALID_ARRAY", { ...ok, array: { first: 1, last: 3 } }],
    ["spec.array", "INVALID_ARRAY", { ...ok, array: { first: 0, last: 1e12, step: 1 } }],
    [
      "spec.array",
      "INVALID_ARRAY",
      { ...ok, array: { first: Number.MAX_SAFE_INTEGER, last: Number.MAX_SAFE_INTEGER, step: 1 } },
    ],
    ["spec.array", "INVALID_ARRAY", { ...ok, array: { first: 1e10, last: 1e10, step: 1 } }],
    ["spec.array.max_live", "INVALID_ARRAY", { ...ok, array: { first: 0, last: 4, step: 1, maxLive: -1 } }],
    ["spec.dependencies[0].kind", "INVALID_DEPENDENCY", { ...ok, dependencies: [{ taskId: "1" }] }],
    ["spec.dependencies[0].task_id", "INVALID_TASK_ID", { ...ok, dependencies: [{ taskId: "x", kind: "KIND_AFTER" }] }],
    [
      "spec.dependencies[0].task_id",
      "INVALID_TASK_ID",
      { ...ok, dependencies: [{ taskId: "1.4", kind: "KIND_AFTER" }] },
    ],
    ["spec.time_limit_ms", "INVALID_TIME_LIMIT", { ...ok, timeLimitMs: -1 }],
    ["spec.grace_ms", "INVALID_GRACE", { ...ok, graceMs: 3_600_001 }],
    ["spec.files[0].path", "INVALID_PATH", { ...ok, files: [{ path: "../x", content: "" }] }],
    ["spec.files[0].path", "INVALID_PATH", { ...ok, files: [{ path: "/x", content: "" }] }],
    ["spec.files[0].path", "INVALID_PATH", { ...ok, files: [{ path: "é".repeat(200), content: "" }] }],
    ["spec.files[0].path", "INVALID_PATH", { ...ok, files: [{ path: `${"é/".repeat(1_500)}a`, content: "" }] }],
    [
      "spec.files[1].path",
      "INVALID_PATH",
      {
        ...ok,
        files: [
          { path: "a", content: "" },
          { path: "a/b", content: "" },
        ],
      },
    ],
    [
      "spec.files[0].path",
      "INVALID_PATH",
      {
        ...ok,
        files: [
          { path: "d/a/b/c", content: "" },
          { path: "d/a", content: "" },
        ],
      },
    ],
    [
      "spec.files[1]",
      "INVALID_FILE",
      {
        ...ok,
        files: [
          { path: "x", content: "" },
          { path: "x", content: "" },
        ],
      },
    ],
    ["spec.network", "INVALID_NETWORK", { ...ok, network: 77 }],
    ["spec.host_lease_ms", "INVALID_HOST_LEASE", { ...ok, onHostLost: "ON_HOST_LOST_FAIL", hostLeaseMs: 9_999 }],
    ["spec.host_lease_ms", "INVALID_HOST_LEASE", { ...ok, hostLeaseMs: 60_000 }],
    ["spec.on_host_lost", "INVALID_ON_HOST_LOST", { ...ok, onHostLost: 7 }],
    ["request_id", "INVALID_REQUEST_ID", ok, { requestId: "a b" }],
  ])("names %s with %s", (field, reason, spec, rest) => {
    const refused = (): void => check(submitRequest, wire(spec, rest));
    expect(refused).toThrow(
      expect.objectContaining({ code: "invalid", reason, metadata: expect.objectContaining({ field }) }),
    );
    expect(refused).toThrow(new RegExp(`^${field.replaceAll(/[[\].]/g, "\\$&")}: `));
  });

  it("refuses a lone surrogate, which no disk has", () => {
    const spec = { ...wire(ok).spec!, files: [{ path: "a\ud800", content: Buffer.alloc(0), executable: false }] };
    expect(() => check(submitRequest, { spec, requestId: "" })).toThrow(
      expect.objectContaining({ reason: "INVALID_PATH" }),
    );
  });

  it("wants a spec, and names the task of a batch", () => {
    expect(() => check(submitRequest, { requestId: "" }, ["tasks", 3])).toThrow(
      expect.objectContaining({ metadata: expect.objectContaining({ field: "tasks[3].spec" }) }),
    );
    expect(() => check(submitRequest, wire({ ...ok, resources: { cpuMilli: -1 } }), ["tasks", 3])).toThrow(
      /^tasks\[3\]\.spec\.resources\.cpu_milli: /,
    );
  });
});
