import { describe, expect, it } from "vitest";
import { innerFile, innerPath } from "./inner-path.ts";

describe("innerPath", () => {
  const names = (path: string | Uint8Array) => innerPath(path).map((name) => Buffer.from(name).toString("latin1"));
  const refused = (reason: string) =>
    expect.objectContaining({ code: "invalid", reason, metadata: { field: "path", rule: expect.any(String) } });

  it("takes apart what stays inside", () => {
    expect(names("")).toEqual([]);
    expect(names("a/b.txt")).toEqual(["a", "b.txt"]);
    expect(names("./a//b/")).toEqual(["a", "b"]);
    expect(names("..a/b..")).toEqual(["..a", "b.."]);
    expect(names(Buffer.from([0x61, 0x2f, 0xff]))).toEqual(["a", "\xff"]);
  });

  it("refuses what could lead out, naming field and rule", () => {
    for (const path of ["..", "a/../../b", "/etc/passwd", Buffer.from("a/../../b"), Buffer.from("/x")])
      expect(() => innerPath(path)).toThrow(refused("PATH_OUTSIDE"));
  });

  it("counts bytes, and refuses what no disk has, naming field and rule", () => {
    expect(names("é".repeat(127))).toHaveLength(1);
    expect(names("x".repeat(255))).toHaveLength(1);
    expect(names("a/".repeat(2_048))).toHaveLength(2_048);
    for (const path of ["x".repeat(256), "é".repeat(128), "é/".repeat(1_366), "a/".repeat(2_049), "a\0b", "a\ud800b"])
      expect(() => innerPath(path), path.slice(0, 20)).toThrow(refused("INVALID_PATH"));
  });

  it("wants a name for a file", () => {
    for (const path of ["", ".", "a/", Buffer.from("a/")])
      expect(() => innerFile(path)).toThrow(expect.objectContaining({ reason: "INVALID_PATH" }));
    expect(innerFile("a/b")).toHaveLength(2);
  });
});
