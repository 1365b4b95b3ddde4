import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { tarOf } from "./tar.ts";

it("makes an archive that tar reads", () => {
  const bytes = tarOf([
    { kind: "directory", name: "tmp/", mode: 0o1777 },
    { kind: "file", name: "tmp/x", mode: 0o755, content: Buffer.from("hello") },
    { kind: "link", name: "y", target: "tmp/x" },
  ]);
  const listing = execFileSync("tar", ["-tvf", "-"], { input: bytes, encoding: "utf8" });
  expect(listing).toMatch(/drwxrwxrwt.* tmp\/\n.*-rwxr-xr-x.* 5 .* tmp\/x\n.*lrwxrwxrwx.* y -> tmp\/x/);
  expect(execFileSync("tar", ["-xOf", "-", "tmp/x"], { input: bytes, encoding: "utf8" })).toBe("hello");
});
