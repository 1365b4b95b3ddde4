import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { reasons } from "@berth/core";
import { reasonsPage, reasonsPath } from "./reasons-page.ts";

it("docs/reasons.md says what the table of reasons says (npm run reasons)", () => {
  expect(readFileSync(reasonsPath, "utf8")).toBe(reasonsPage());
});

it("a reason stands in one group only, in upper snake case", () => {
  const all = Object.values(reasons).flatMap((group) => Object.keys(group));
  expect(all.filter((reason, at) => all.indexOf(reason) !== at)).toEqual([]);
  expect(all.filter((reason) => !/^[A-Z][A-Z0-9_]*$/.test(reason))).toEqual([]);
});
