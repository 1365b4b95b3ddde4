import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { mutants } from "./mutants.ts";
import type { Mutant } from "./mutants.ts";

/**
 * `node test/mutants/run.ts [NAME …]`: breaks the code in one place at a time, in a copy, and expects the named tests to fail. A line a mutant; exit code 1 if
 * one survived or does not apply any more.
 */
const root = resolve(import.meta.dirname, "../..");
const wanted = process.argv.slice(2);
const chosen = mutants.filter((m) => wanted.length === 0 || wanted.includes(m.name));
const copy = mkdtempSync(join(tmpdir(), "berth-mutants-"));
let survived = 0;
try {
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  const tree = execFileSync("tar", ["cf", "-", "--null", "--ignore-failed-read", "--files-from", "-"], {
    cwd: root,
    input: files,
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync("tar", ["xf", "-"], { cwd: copy, input: tree });
  // Links inside node_modules are relative, so the copy's packages are the copy's.
  execFileSync("cp", ["-al", join(root, "node_modules"), join(copy, "node_modules")]);
  // Suite by suite: files of different vitest projects do not go into one run.
  for (const tests of new Set(chosen.map((m) => JSON.stringify(m.tests)))) {
    const clean = runTests(JSON.parse(tests) as string[]);
    if (!clean.passed) throw new Error(`${tests} fail without any mutant:\n${clean.output}`);
  }
  for (const mutant of chosen) {
    const outcome = tryMutant(mutant);
    if (outcome !== "killed") survived++;
    process.stdout.write(`${outcome.padEnd(14)} ${mutant.name}: ${mutant.what}\n`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
const killed = chosen.length - survived;
process.stdout.write(`${killed} passed, ${survived} failed\n`);
process.exit(survived === 0 ? 0 : 1);

function tryMutant(mutant: Mutant): "killed" | "SURVIVED" | "DOES NOT APPLY" {
  const path = join(copy, mutant.file);
  const original = readFileSync(path, "utf8");
  if (original.split(mutant.find).length !== 2) return "DOES NOT APPLY";
  rmSync(path);
  writeFileSync(
    path,
    original.replace(mutant.find, () => mutant.replace),
  );
  try {
    return runTests(mutant.tests).passed ? "SURVIVED" : "killed";
  } finally {
    rmSync(path);
    writeFileSync(path, original);
  }
}

function runTests(tests: readonly string[]): { passed: boolean; output: string } {
  const ran = spawnSync(join(copy, "node_modules/.bin/vitest"), ["run", "--no-cache", ...tests], {
    cwd: copy,
    encoding: "utf8",
    timeout: 300_000,
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { passed: ran.status === 0, output: `${ran.stdout}${ran.stderr}` };
}
