import { describe, expect, it } from "vitest";
import { readScriptOptions, splitWords } from "./script-options.ts";

describe("readScriptOptions", () => {
  it("reads lines before the first command, and no others", () => {
    const script = [
      "#!/bin/sh",
      "# a comment",
      "#BERTH --mem 2G --cpu=0.5  # why",
      "",
      '#BERTH --env "A=x y" --env B=1 --volume db:ro',
      "#BERTH --on-host-lost retry --host-lease 90s",
      "#BERTHA --mem 9G",
      "echo hi",
      "#BERTH --mem 8G",
    ].join("\n");
    expect(readScriptOptions(script, "job.sh")).toMatchObject({
      memoryBytes: 2 ** 31,
      cpuMilli: 500,
      env: { A: "x y", B: "1" },
      volumes: [{ name: "db", readOnly: true }],
      onHostLost: "ON_HOST_LOST_RETRY",
      hostLeaseMs: 90_000,
    });
  });

  it.each([
    ["#BERTH --mem lots", /^job\.sh:1: --mem: /],
    ["#!/bin/sh\n#BERTH --nope", /^job\.sh:2: .*--nope/],
    ["#BERTH --on-host-lost never", /^job\.sh:1: --on-host-lost: must be wait, retry or fail/],
    ["#BERTH --mem", /^job\.sh:1: .*--mem/],
    ["#BERTH extra", /^job\.sh:1: /],
    ['#BERTH --env "A=1', /^job\.sh:1: a quote is not closed/],
  ])("names file, line and rule of %j", (script, message) => {
    expect(() => readScriptOptions(script, "job.sh")).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(message) }),
    );
  });
});

describe("splitWords", () => {
  it.each([
    ["", []],
    ["  a  b ", ["a", "b"]],
    [`a'b c'"d \\" $e"\\ f`, ['ab cd " $e f']],
    ["a#b # c", ["a#b"]],
    [`""`, [""]],
  ])("%j", (text, words) => expect(splitWords(text, "here")).toEqual(words));
});
