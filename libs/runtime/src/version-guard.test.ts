import { describe, expect, it } from "vitest";
import { guardNodeVersion } from "./version-guard.ts";

describe("guardNodeVersion", () => {
  it("refuses a Node that is too old, and says what to do", () => {
    expect(() => guardNodeVersion("20.20.0")).toThrow("npm ci");
    expect(() => guardNodeVersion("24.0.0")).not.toThrow();
    expect(() => guardNodeVersion()).not.toThrow();
  });
});
