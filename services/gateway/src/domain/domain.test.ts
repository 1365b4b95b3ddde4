import { describe, expect, it } from "vitest";
import { byteChunks } from "./byte-chunks.ts";
import { ownerFilter, userFilter } from "./caller.ts";
import { defaultTaskName } from "./task-name.ts";

const anna = { user: "anna", admin: false };
const root = { user: "root-like", admin: true };

describe("userFilter", () => {
  it("is the caller's own, and everybody's only for admins", () => {
    expect([
      userFilter("", anna),
      userFilter("anna", anna),
      userFilter("", root),
      userFilter("anna", root),
      userFilter("*", root),
    ]).toEqual(["anna", "anna", "root-like", "anna", ""]);
    for (const asked of ["*", "ben"])
      expect(() => userFilter(asked, anna)).toThrow(expect.objectContaining({ code: "denied", reason: "NOT_YOURS" }));
    expect([ownerFilter(anna), ownerFilter(root)]).toEqual(["anna", ""]);
  });
});

describe("defaultTaskName", () => {
  it.each([
    [["/usr/bin/python3", "x.py"], "python3"],
    [["./my prog!"], "my_prog_"],
    [[], "script"],
    [["/"], "task"],
    [["é"], "_"],
  ])("of %j is %s", (command, name) => expect(defaultTaskName(command)).toBe(name));
});

describe("byteChunks", () => {
  it("keeps order and bounds, and lets a giant go alone", () => {
    expect(byteChunks([3, 3, 9, 1, 1, 1, 1], (n) => n, { maxItems: 3, maxBytes: 6 })).toEqual([
      [3, 3],
      [9],
      [1, 1, 1],
      [1],
    ]);
    expect(byteChunks([], () => 1, { maxItems: 3, maxBytes: 6 })).toEqual([]);
  });
});
