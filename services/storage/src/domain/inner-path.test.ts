import { describe, expect, it } from "vitest";
import { innerFile, innerPath } from "./inner-path.ts";

describe("innerPath", () => {
  it("takes apart what stays inside", () => {
    expect(innerPath("")).toEqual([]);
    expect(innerPath("a/b.txt")).toEqual(["a", "b.txt"]);
    expect(innerPath("./a//b/")).toEqual(["a", "b"]);
    expect(innerPath("..a/b..")).toEqual(["..a", "b.."]);
  });

  it("refuses what could lead out, naming field and rule", () => {
    for (const path of ["..", "a/../../b", "/etc/passwd", "a\0b", "x".repeat(256), "a/".repeat(3_000)]) {
      expect(() => innerPath(path), path.slice(0, 20)).toThrow(
        expect.objectContaining({
          code: "invalid",
          reason: "PATH_OUTSIDE",
          metadata: { field: "path", rule: expect.any(String) },
        }),
      );
    }
  });

  it("wants a name for a file", () => {
    for (const path of ["", ".", "a/"])
      expect(() => innerFile(path)).toThrow(expect.objectContaining({ reason: "PATH_OUTSIDE" }));
    expect(innerFile("a/b")).toEqual(["a", "b"]);
  });
});
