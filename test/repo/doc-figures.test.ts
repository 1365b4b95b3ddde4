import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const list = (...patterns: string[]) =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...patterns], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((path) => path !== "");
const sources = list("services/*.ts", "libs/*.ts", "clients/*.ts");
const pages = list("docs/design/*.md", "docs/operations.md", "README.md", "CONTRIBUTING.md", "services/*/README.md");

/** In a page, `12 ms (\`paceMs\` in \`run-table.ts\`)` says which constant holds a figure. */
const figure = /(\d[\d,.]*) ?([a-zA-Z]*) \(`(\w+)` in `([\w/.-]+\.ts)`/g;
const units: Readonly<Record<string, number>> = {
  "": 1,
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** What a constant of numbers is; undefined where the file has no such constant. */
function constant(name: string, file: string): number | undefined {
  const pattern = new RegExp(`const ${name} = ([\\d_.* ]+);`);
  const [written] = sources
    .filter((source) => source.endsWith(`/${file}`))
    .flatMap((source) => pattern.exec(readFileSync(join(root, source), "utf8"))?.[1] ?? []);
  return written?.split("*").reduce((product, factor) => product * Number(factor.trim().replaceAll("_", "")), 1);
}

describe("figures that pages take from constants", () => {
  it.each(pages)("are right in %s", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    const wrong = [...text.matchAll(figure)].flatMap(([all, written, unit, name, file]) => {
      const value = constant(name!, file!);
      const said = Number(written!.replaceAll(",", "")) * (units[unit!] ?? 1);
      return value === said ? [] : [`${all}): the constant is ${value}`];
    });
    expect(wrong).toEqual([]);
  });
});
