import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { mutants } from "../mutants/mutants.ts";

const root = resolve(import.meta.dirname, "../..");

describe("mutants", () => {
  it("have names of their own", () => {
    const names = mutants.map(({ name }) => name);
    expect(names.filter((name, n) => names.indexOf(name) !== n)).toEqual([]);
  });

  it("change one place each, which is still there", () => {
    const stale = mutants.filter(({ file, find }) => readFileSync(join(root, file), "utf8").split(find).length !== 2);
    expect(stale.map(({ name, file }) => `${name}: ${file}`)).toEqual([]);
  });
});
