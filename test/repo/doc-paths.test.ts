import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => existsSync(join(root, path)));
const pages = files.filter((path) => path.endsWith(".md") && !path.startsWith("docs/adr/") && path !== "CHANGELOG.md");

/** What a page names in code: whole paths, parts of paths, and names of files. */
function pathsOf(text: string): string[] {
  const words = [...text.matchAll(/`([^`\n]+)`/g)].flatMap((match) => match[1]!.split(/[\s,;()]+/));
  const isPath = (word: string) => /^[\w.<>*-]+(\/[\w.<>*-]+)*\/?$/.test(word);
  const isNamed = (word: string) =>
    /^(services|libs|clients|test|proto|docs|deploy)\/./.test(word) || /\.(test\.ts|ts|proto|sh|yaml|md)$/.test(word);
  return words.map((word) => word.replace(/:\d+(-\d+)?$/, "")).filter((word) => isPath(word) && isNamed(word));
}

/** Whether some file has that path, or ends so; `<name>` and `*` stand for any part. */
function exists(path: string, page: string): boolean {
  const pattern = path
    .replace(/\/$/, "")
    .split(/<[^>]+>|\*+/)
    .map((part) => part.replaceAll(/[.+]/g, String.raw`\$&`))
    .join("[^/]+");
  const beneath = new RegExp(`(^|/)${pattern}($|/|\\.(test\\.)?ts$)`);
  return files.some((file) => beneath.test(file)) || existsSync(join(root, dirname(page), path));
}

describe("pages", () => {
  it.each(pages)("%s names only paths that are there", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    expect(pathsOf(text).filter((path) => !exists(path, page))).toEqual([]);
  });

  it.each(pages)("%s links only to what is there", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1]!);
    const missing = links.filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(root, dirname(page), link)));
    expect(missing).toEqual([]);
  });
});
