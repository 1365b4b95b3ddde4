import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wasDashed } from "./command-words.ts";
import { readProgram } from "./program-input.ts";
import { mergeWishes, toSpec } from "./task-wish.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-cli-"));
  writeFileSync(join(dir, "job"), "#!/bin/sh\n#BERTH --mem 2G --name from-script --env A=1\necho hi\n");
  writeFileSync(join(dir, "data"), "no script\n");
});
afterAll(() => rmSync(dir, { recursive: true }));

describe("readProgram", () => {
  it("takes a script with its options; the command line wins", () => {
    const { program, wish } = readProgram([join(dir, "job")], false);
    const spec = toSpec(mergeWishes(wish, { memoryBytes: 2 ** 20, env: { B: "2" } }), program);
    expect(spec).toMatchObject({
      name: "from-script",
      resources: { memoryBytes: 2 ** 20 },
      env: { A: "1", B: "2" },
      command: [],
    });
    expect(spec.script).toContain("echo hi");
  });

  it("sends a script with arguments as a file", () => {
    const { program, wish } = readProgram([join(dir, "job"), "a b", "--flag"], false);
    const spec = toSpec(wish, program);
    expect(spec.command.slice(0, 2)).toEqual(["sh", "-c"]);
    expect(spec.command.slice(3)).toEqual([".berth/from-script", "a b", "--flag"]);
    expect(spec.files).toMatchObject([{ path: ".berth/from-script", executable: true }]);
    expect(spec.script).toBe("");
  });

  it("takes anything else, and everything after --, as a command", () => {
    expect(readProgram([join(dir, "data"), "x"], false).program).toEqual({
      kind: "command",
      command: [join(dir, "data"), "x"],
    });
    expect(readProgram([join(dir, "job")], true).program).toMatchObject({ kind: "command" });
    expect(readProgram(["prog", "--mem", "2G"], true).program).toMatchObject({ command: ["prog", "--mem", "2G"] });
  });

  it.each<[string[], boolean, RegExp]>([
    [[], false, /give a command/],
    [["--x"], true, /first word is --x/],
    [["prog", "--mem", "2G"], false, /^--mem: comes behind the command/],
    [["prog", "--env=A=1"], false, /comes behind the command/],
    [["missing.sh"], false, /no file missing\.sh/],
  ])("refuses %j", (words, dashed, message) => {
    expect(() => readProgram(words, dashed)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(message) }),
    );
  });
});

describe("wasDashed", () => {
  it("looks right before the command", () => {
    expect(wasDashed(["echo", "--"], ["node", "berth", "run", "--", "echo", "--"])).toBe(true);
    expect(wasDashed(["echo", "--", "a"], ["node", "berth", "run", "echo", "--", "a"])).toBe(false);
  });
});
