import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLogger } from "./logger.ts";

describe("createLogger", () => {
  it("writes JSON lines at once, bound to what they are about, with causes", () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-log-"));
    const fd = openSync(join(dir, "log"), "a");
    const logger = createLogger({ service: "storage", level: "info", fd });
    logger.debug("not this");
    logger.child({ taskId: "17" }).error("failed", { error: new Error("outer", { cause: new Error("inner") }) });
    logger.info("plain");
    const lines = readFileSync(join(dir, "log"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      {
        level: "error",
        service: "storage",
        taskId: "17",
        message: "failed",
        error: { message: "outer", cause: { message: "inner" } },
      },
      { level: "info", message: "plain", time: expect.stringMatching(/^\d{4}-/) },
    ]);
    closeSync(fd);
    rmSync(dir, { recursive: true });
  });

  it("writes for people where that is asked, without colours in a file", () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-log-"));
    const fd = openSync(join(dir, "log"), "a");
    createLogger({ service: "storage", fd, format: "pretty" }).child({ taskId: "17" }).warn("slow");
    expect(readFileSync(join(dir, "log"), "utf8")).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3}  WARN   storage  slow  taskId=17\n$/,
    );
    closeSync(fd);
    rmSync(dir, { recursive: true });
  });
});
