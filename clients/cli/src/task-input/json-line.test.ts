import { describe, expect, it } from "vitest";
import { readJsonLine } from "./json-line.ts";

describe("readJsonLine", () => {
  it("takes the options' names", () => {
    const { spec, requestId } = readJsonLine(
      '{"command":["echo","1"],"cpu":0.5,"mem":"1G","time":"10m","env":{"A":1},"volume":["db:ro"],"array":"1-9:2%3","after":["12","13"],"afterok":"14","priority":-3,"requestId":"r1"}',
      { project: "p" },
    );
    expect(requestId).toBe("r1");
    expect(spec).toMatchObject({
      command: ["echo", "1"],
      project: "p",
      resources: { cpuMilli: 500, memoryBytes: 2 ** 30 },
      timeLimitMs: 600_000,
      env: { A: "1" },
      volumes: [{ name: "db", readOnly: true }],
      array: { first: 1, last: 9, step: 2, maxLive: 3 },
      dependencies: [
        { kind: "KIND_AFTER", taskId: "12" },
        { kind: "KIND_AFTER", taskId: "13" },
        { kind: "KIND_AFTER_OK", taskId: "14" },
      ],
      priority: -3,
    });
  });

  it("takes those of the API's spec in proto3 JSON", () => {
    const { spec } = readJsonLine(
      '{"script":"exit 0","resources":{"cpuMilli":"250"},"timeLimitMs":"1000","array":{"first":"0","last":"4","step":"1"},"dependencies":[{"kind":"KIND_AFTER_OK","taskId":"3"}],"volumes":["db",{"name":"x","readOnly":true}],"files":[{"path":"a","content":"aGk="}]}',
      {},
    );
    expect(spec).toMatchObject({
      script: "exit 0",
      command: [],
      resources: { cpuMilli: 250 },
      timeLimitMs: 1000,
      array: { first: 0, last: 4, step: 1 },
      dependencies: [{ kind: "KIND_AFTER_OK", taskId: "3" }],
      volumes: [{ name: "db" }, { name: "x", readOnly: true }],
      files: [{ path: "a" }],
    });
    expect(Buffer.from(spec.files[0]!.content).toString()).toBe("hi");
  });

  it.each([
    ["x", /not JSON/],
    ["[]", /JSON object/],
    ['{"command":"echo"}', /^command: /],
    ['{"command":[1]}', /^command: /],
    ['{"script":1}', /^script: /],
    ['{"command":["a"],"memory":"1G"}', /^memory: there is no such field/],
    ['{"command":["a"],"mem":"lots"}', /^mem: /],
    ['{"command":["a"],"mem":null}', /^mem: /],
    ['{"command":["a"],"env":{"A":{}}}', /^env\.A: /],
  ])("refuses %s by name", (line, message) => {
    expect(() => readJsonLine(line, {})).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(message) }),
    );
  });
});
