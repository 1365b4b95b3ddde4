import { describe, expect, it } from "vitest";
import { directoryUser } from "./directory-user.ts";
import type { DirectoryPerson } from "./directory-user.ts";

const person = (over: Partial<DirectoryPerson> = {}): DirectoryPerson => ({
  name: "ada",
  uid: "5001",
  gid: "5000",
  home: "/home/ada",
  email: "ada@lab.example",
  disabled: false,
  ...over,
});
const rules = { admins: ["admins"], mayUse: undefined };
const userOf = (...args: Parameters<typeof directoryUser>) => {
  const answer = directoryUser(...args);
  if ("refused" in answer) throw new Error(answer.refused);
  return answer.user;
};

describe("a person of a directory", () => {
  it("is a user with the numbers of their groups, sorted, each once, without their own and without 0", () => {
    const groups = ["7", "6", "7", "5000", "0", "", "x", "-1"].map((gid, n) => ({ name: `g${n}`, gid }));
    expect(userOf(person(), groups, rules)).toMatchObject({
      name: "ada",
      uid: 5001,
      gid: 5000,
      groups: [6, 7],
      role: "user",
    });
  });

  it("is an admin as a member of a group that the site names, also of one without a number", () => {
    expect(userOf(person(), [{ name: "admins", gid: "" }], rules).role).toBe("admin");
    expect(userOf(person(), [{ name: "Admins", gid: "" }], rules).role).toBe("user");
  });

  it("may not use Berth outside the groups that the site names", () => {
    const only = { ...rules, mayUse: ["genomics"] };
    expect(userOf(person(), [], only).disabled).toBe(true);
    expect(userOf(person(), [{ name: "genomics", gid: "9" }], only).disabled).toBe(false);
    expect(userOf(person({ disabled: true }), [{ name: "genomics", gid: "9" }], only).disabled).toBe(true);
  });

  it.each<[string, Partial<DirectoryPerson>]>([
    ["uid", { uid: "0" }],
    ["uid", { uid: "00" }],
    ["uid", { uid: "" }],
    ["uid", { uid: "-5" }],
    ["uid", { uid: "1e3" }],
    ["uid", { uid: "4294967295" }],
    ["uid", { uid: "4294967296" }],
    ["gid", { gid: "0" }],
    ["gid", { gid: "abc" }],
    ["name", { name: "root" }],
    ["name", { name: "Ada" }],
    ["name", { name: "" }],
    ["name", { name: "a".repeat(33) }],
  ])("is nobody here with such a %s: %o", (field, over) => {
    const answer = directoryUser(person(over), [], rules);
    expect("refused" in answer && answer.refused).toContain(field);
  });

  it("has no home and no address where the directory's are none", () => {
    const user = userOf(person({ home: "/home/../root", email: "ada" }), [], rules);
    expect([user.home, user.email]).toEqual(["", ""]);
  });

  it("has the first 64 groups by number", () => {
    const groups = Array.from({ length: 100 }, (_, n) => ({ name: `g${n}`, gid: String(200 - n) }));
    expect(userOf(person(), groups, rules).groups).toHaveLength(64);
    expect(userOf(person(), groups, rules).groups[0]).toBe(101);
  });
});
