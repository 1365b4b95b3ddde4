import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { inputLines } from "./input-lines.ts";

async function linesOf(chunks: readonly string[], mostBytes = 100): Promise<(string | undefined)[]> {
  const lines: (string | undefined)[] = [];
  for await (const { number, bytes } of inputLines(Readable.from(chunks), mostBytes)) {
    lines.push(bytes?.toString());
    expect(number).toBe(lines.length);
  }
  return lines;
}

describe("inputLines", () => {
  it("joins a line of several pieces, counts empty ones, and needs no end of the last", async () => {
    expect(await linesOf(["a", "b\n\nc", "\r", "\nd"])).toEqual(["ab", "", "c", "d"]);
    expect(await linesOf(["a\n"])).toEqual(["a"]);
    expect(await linesOf([])).toEqual([]);
  });

  it("skips a line of more bytes than allowed, and takes the next", async () => {
    expect(await linesOf(["éé", "éx\nab", "\n", "123456\n", "1234567\n"], 6)).toEqual([
      undefined,
      "ab",
      "123456",
      undefined,
    ]);
  });
});
