import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandTable } from "./command-table.ts";
import { freshBundle } from "./fresh-bundle.ts";
import { fromSource } from "./from-source.ts";

const root = resolve(import.meta.dirname, "../../..");
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-bundle-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe("freshBundle", () => {
  it("is not used once a file that it was made of has changed, or where there is none", () => {
    const input = join(dir, "input.ts");
    writeFileSync(input, "one");
    const { size, mtimeMs } = statSync(input);
    mkdirSync(join(dir, "dist"));
    writeFileSync(
      join(dir, "dist", "manifest.json"),
      JSON.stringify({ program: "a/program.cjs", inputs: [["input.ts", size, mtimeMs]] }),
    );
    expect(freshBundle(join(dir, "dist"), dir)).toBe(join(dir, "dist", "a/program.cjs"));
    writeFileSync(input, "other");
    expect(freshBundle(join(dir, "dist"), dir)).toBeUndefined();
    rmSync(input);
    expect(freshBundle(join(dir, "dist"), dir)).toBeUndefined();
    expect(freshBundle(join(dir, "none"), dir)).toBeUndefined();
  });
});

/** The bundle that `npm ci` makes, in a directory of this test. */
describe("the bundled program", () => {
  let bundle: string;
  beforeAll(() => {
    execFileSync(process.execPath, [join(import.meta.dirname, "../bundle.ts"), join(dir, "made")]);
    bundle = freshBundle(join(dir, "made"), root)!;
  });
  const run = (program: string, args: readonly string[]): string =>
    execFileSync(process.execPath, [
      "--input-type=module",
      "--eval",
      `const { runProgram } = await import(${JSON.stringify(program)}); await runProgram(${JSON.stringify(args)});`,
    ]).toString();

  it("prints what the source prints", () => {
    for (const args of [["--help"], ["submit", "--help"], ["user", "--help"]])
      expect(run(bundle, args)).toBe(run(join(import.meta.dirname, "program.ts"), args));
  });

  it.each(Object.keys(commandTable).filter((name) => !fromSource.has(name)))("has all parts of berth %s", (name) => {
    expect(run(bundle, [name, "--help"])).toContain(`Usage: berth ${name}`);
  });
});
