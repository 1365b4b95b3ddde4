import { basename } from "node:path";
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { longest, longestFirst } from "../longest-first.ts";

const files = globSync("{contract,integration,e2e,faults}/**/*.test.ts", {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
});

it("knows only files that there are, the longest first", () => {
  const names = new Set(files.map((file) => basename(file)));
  expect(Object.keys(longest).filter((name) => !names.has(name))).toEqual([]);
  const seconds = Object.values(longest);
  expect(seconds).toEqual(seconds.toSorted((a, b) => b - a));
});

it("begins with them, whatever their folder, and leaves the others in their order", () => {
  const sorted = longestFirst(files, (file) => file);
  const count = Object.keys(longest).length;
  expect(sorted.slice(0, count).map((file) => basename(file))).toEqual(Object.keys(longest));
  expect(sorted.slice(count)).toEqual(files.filter((file) => !(basename(file) in longest)));
});
