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

  it("passes on every field that it accepts, beside those of the command line", () => {
    const { spec } = readJsonLine(
      '{"command":["a"],"resources":{"cpuMilli":250},"onHostLost":"ON_HOST_LOST_RETRY","hostLeaseMs":60000,"graceMs":"5000","network":"NETWORK_BRIDGE"}',
      { memoryBytes: 2 ** 30, network: "NETWORK_NONE" },
    );
    expect(spec).toMatchObject({
      resources: { cpuMilli: 250, memoryBytes: 2 ** 30 },
      onHostLost: "ON_HOST_LOST_RETRY",
      hostLeaseMs: 60_000,
      graceMs: 5_000,
      network: "NETWORK_BRIDGE",
    });
  });

  it.each([
    ["x", /not JSON/],
    ["[]", /JSON object/],
    ['{"command":"echo"}', /^command: /],
    ['{"command":[1]}', /^command\[0\]: /],
    ['{"command":["a"],"dependencies":{"kind":"KIND_AFTER","taskId":"1"}}', /^dependencies: must be a list/],
    [
      '{"command":["a"],"dependencies":[{"kind":"AFTER","taskId":"1"}]}',
      /^dependencies\[0\]\.kind: must be KIND_AFTER/,
    ],
    ['{"command":["a"],"dependencies":[{"kind":"KIND_AFTER"}]}', /^dependencies\[0\]\.taskId: is missing/],
    ['{"command":["a"],"timeLimitMs":"1h"}', /^timeLimitMs: must be a whole number of milliseconds; "time" takes/],
    ['{"command":["a"],"timeLimitMs":1.5}', /^timeLimitMs: /],
    ['{"command":["a"],"timeLimitMs":9007199254740993}', /^timeLimitMs: /],
    ['{"command":["a"],"resources":{"memory":"4G"}}', /^resources\.memory: there is no such field; there are cpuMilli/],
    ['{"command":["a"],"resources":{"memoryBytes":"4G"}}', /^resources\.memoryBytes: must be a whole number of bytes/],
    ['{"command":["a"],"resources":null}', /^resources: must be an object/],
    ['{"command":["a"],"onHostLost":"retry"}', /^onHostLost: must be one of ON_HOST_LOST/],
    ['{"command":["a"],"volumes":[{"name":"x","ro":true}]}', /^volumes\[0\]\.ro: there is no such field/],
    ['{"command":["a"],"files":[{"path":"x","content":"%"}]}', /^files\[0\]\.content: must be in base64/],
    ['{"command":["a"],"array":{"first":1,"last":2,"limit":1}}', /^array\.limit: there is no such field/],
    ['{"command":["a"],"time":"1h","timeLimitMs":1000}', /^timeLimitMs: says again what time says/],
    ['{"command":["a"],"mem":"1G","resources":{"memoryBytes":1}}', /^resources: says again what mem says/],
    ['{"command":["a"],"name":5}', /^name: must be a text/],
    ['{"command":["a"],"cpu":["1","2"]}', /^cpu: must be a text or a number/],
    ['{"command":["a"],"network":true}', /^network: must be a text/],
    ['{"command":["\\ud800"]}', /^command\[0\]: has half of a character/],
    ['{"script":"#!/bin/sh\\r\\ntrue\\r\\n"}', /^script: has Windows line ends/],
    ['{"script":1}', /^script: /],
    ['{"command":["a"],"cpu":1,"cpu":64}', /^cpu: is given twice/],
    ['{"command":["a"],"env":{"A":"1","A":"2"}}', /^env\.A: is given twice/],
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
