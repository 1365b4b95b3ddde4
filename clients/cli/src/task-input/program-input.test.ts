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

  it("sends a script of bytes that are no text as a file, byte for byte", () => {
    const bytes = Buffer.from([
      ...Buffer.from("#!/bin/sh\n#BERTH --name bytes\nprintf '"),
      0xff,
      0xfe,
      ...Buffer.from("'\n"),
    ]);
    writeFileSync(join(dir, "raw"), bytes);
    const { program, wish } = readProgram([join(dir, "raw")], false);
    const spec = toSpec(wish, program);
    expect(spec).toMatchObject({ script: "", name: "bytes", files: [{ path: ".berth/bytes", executable: true }] });
    expect(Buffer.from(spec.files[0]!.content).equals(bytes)).toBe(true);
  });

  it("refuses a script whose first line no system reads, with the way to mend it", () => {
    const refused = (content: string): string => {
      writeFileSync(join(dir, "bad"), content);
      try {
        readProgram([join(dir, "bad")], false);
      } catch (error) {
        return (error as Error).message;
      }
      return "accepted";
    };
    expect(refused("#!/bin/sh\r\necho hi\r\n")).toMatch(
      /bad: has Windows line ends: .*"\/bin\/sh\\r"; convert it: sed -i/,
    );
    expect(refused("\uFEFF#!/bin/sh\necho hi\n")).toMatch(/bad: begins with a byte order mark/);
    expect(refused("#!/bin/sh\necho hi\n")).toBe("accepted");
  });

  it("names lines that look meant and have no effect", () => {
    const warningsOf = (content: string): readonly string[] => {
      writeFileSync(join(dir, "other.sh"), content);
      return readProgram([join(dir, "other.sh")], false).warnings;
    };
    expect(warningsOf("#!/bin/sh\n#SBATCH --mem=4G\n#SBATCH -n 2\n#PBS -l x\n#SBATCH a\necho hi\n")).toEqual([
      expect.stringMatching(
        /other\.sh: Berth does not read lines 2, 3, 4 and 1 more \(#SBATCH --mem=4G, #SBATCH -n 2, #PBS -l x, …\)/,
      ),
    ]);
    expect(warningsOf("#!/bin/sh\ntrue\n#BERTH --mem 2G\n")).toEqual([
      expect.stringMatching(/line 3 with #BERTH comes after/),
    ]);
    expect(warningsOf("true\r\n")).toEqual([expect.stringMatching(/Windows line ends/)]);
    expect(warningsOf("#!/bin/sh\n#BERTH --mem 2G\n# PBS is not used\ntrue\n")).toEqual([]);
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
