import { describe, expect, it } from "vitest";
import { checkNewUser, checkPassword, isCleanPath, nextUid } from "./new-user.ts";
import type { NewUser } from "./new-user.ts";

const aUser = (over: Partial<NewUser> = {}): NewUser => ({
  name: "anna",
  uid: 0,
  gid: 0,
  groups: [],
  role: "user",
  home: "",
  email: "",
  ...over,
});

describe("checkNewUser", () => {
  it.each([
    ["user.name", { name: "Anna" }],
    ["user.name", { name: "root" }],
    ["user.name", { name: "a".repeat(33) }],
    ["user.identity.uid", { uid: -1 }],
    ["user.identity.gid", { gid: 4_294_967_295 }],
    ["user.identity.groups[1]", { groups: [5, 0] }],
    ["user.home", { home: "home/anna" }],
    ["user.home", { home: "/home/../root" }],
    ["user.email", { email: "anna" }],
  ])("names %s", (field, over) => {
    expect(() => checkNewUser(aUser(over))).toThrow(
      expect.objectContaining({ code: "invalid", metadata: expect.objectContaining({ field }) }),
    );
  });

  it("accepts a plain user", () => {
    checkNewUser(aUser({ uid: 1000, gid: 100, groups: [4, 24], home: "/home/anna", email: "anna@example.org" }));
  });
});

describe("checkPassword", () => {
  it("wants ten characters or none", () => {
    checkPassword("");
    checkPassword("0123456789");
    expect(() => checkPassword("012345678")).toThrow(expect.objectContaining({ reason: "INVALID_PASSWORD" }));
  });
});

describe("nextUid", () => {
  it("takes the smallest one that is free", () => {
    expect(nextUid(new Set([5, 20_000, 20_001, 20_003]))).toBe(20_002);
  });
});

describe("isCleanPath", () => {
  it.each(["", "a", "/", "/a/", "//a", "/a/./b", "/a/..", "/a\nb"])("refuses %j", (path) =>
    expect(isCleanPath(path)).toBe(false),
  );
});
