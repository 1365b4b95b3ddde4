import { describe, expect, it } from "vitest";
import { prettyLog } from "./pretty-log.ts";

const line = (more: object): string =>
  JSON.stringify({ level: "warn", time: "2026-11-27T19:40:06.123Z", service: "storage", message: "slow", ...more });

describe("a line of the log for people", () => {
  it("has the time of day, the level, the service, the message and the fields", () => {
    expect(prettyLog(line({ taskId: "17", ms: 12, why: "a disk that is full", runs: [1] }), false)).toBe(
      '19:40:06.123  WARN   storage  slow  taskId=17 ms=12 why="a disk that is full" runs=[1]\n',
    );
  });

  it("has an error's stack below", () => {
    const error = { type: "Error", message: "outer", stack: "Error: outer\n    at f\ncaused by: Error: inner" };
    expect(prettyLog(line({ error }), false)).toBe(
      "19:40:06.123  WARN   storage  slow\n    Error: outer\n        at f\n    caused by: Error: inner\n",
    );
    expect(prettyLog(line({ error: "gone" }), false)).toContain("\n    gone\n");
  });

  it("has further lines of the message below", () => {
    expect(prettyLog(line({ message: "bad:\n  a\n  b" }), false)).toBe(
      "19:40:06.123  WARN   storage  bad:\n    a\n    b\n",
    );
  });

  it("does nothing that a name or a message asks of the terminal", () => {
    const text = prettyLog(line({ message: "a\u001b[2Jb\rc", user: "\u202eevil\u0007" }), false);
    expect(text).toContain("a\\u001b[2Jb\\u000dc");
    expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it("is coloured by its level, where colours are wanted", () => {
    expect(prettyLog(line({}), true)).toContain("\u001b[33mslow\u001b[0m");
  });

  it("leaves alone what is no line of ours", () => {
    expect(prettyLog("(node:1) Warning: x\n", false)).toBe("(node:1) Warning: x\n");
  });
});
