import { describe, expect, it } from "vitest";
import { AppError } from "./errors.ts";

describe("AppError.from", () => {
  it.each(["EMFILE", "ENFILE"])("says of %s that it passes", (code) => {
    const thrown = Object.assign(new Error(`${code}: too many open files, open '/a/path'`), { code });
    const error = AppError.from(thrown);
    expect(error).toMatchObject({ code: "unavailable", reason: "NO_DESCRIPTORS", cause: thrown });
    expect(error.message).not.toContain("/a/path");
  });

  it("keeps an AppError, and makes all else internal without its words", () => {
    const known = new AppError("invalid", "INVALID_FIELD", "a: is missing");
    expect(AppError.from(known)).toBe(known);
    for (const thrown of [
      new Error("secret"),
      Object.assign(new Error("secret"), { code: "ENOENT" }),
      "secret",
      undefined,
    ])
      expect(AppError.from(thrown)).toMatchObject({
        code: "internal",
        reason: "INTERNAL",
        message: expect.not.stringContaining("secret"),
      });
  });
});
