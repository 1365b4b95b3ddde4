import { describe, expect, it } from "vitest";
import { checkArguments, checkVariable, notUtf8 } from "./utf8.ts";

describe("notUtf8", () => {
  it.each<[number[], string | undefined]>([
    [[0x61, 0xff], "must be UTF-8; byte 0xFF at offset 1"],
    [[0xc3, 0xa9, 0xc3], "must be UTF-8; byte 0xC3 at offset 2"],
    [[0xc3, 0xa9], undefined],
    [[0xef, 0xbf, 0xbd], undefined],
  ])("tells of %j", (bytes, said) => expect(notUtf8(Uint8Array.from(bytes))).toBe(said));
});

describe("arguments and variables", () => {
  const raw =
    (...items: (string | number[])[]) =>
    () =>
      items.map((item) => (typeof item === "string" ? Buffer.from(item) : Buffer.from(item)));

  it("are refused where the system's bytes are not UTF-8", () => {
    expect(() => checkArguments(["run", "a\uFFFD"], raw("node", "main.ts", "run", [0x61, 0xff]))).toThrow(
      /argument 2 .*byte 0xFF at offset 1/,
    );
    expect(() => checkVariable("A", "\uFFFD", "--env", raw("B=1", [0x41, 0x3d, 0xfe]))).toThrow(
      /--env: A must be UTF-8/,
    );
  });

  it("are taken where the user typed U+FFFD, or the system does not tell", () => {
    checkArguments(["run", "a\uFFFD"], raw("node", "main.ts", "run", "a\uFFFD"));
    checkArguments(["run", "a\uFFFD"], () => undefined);
    checkVariable("A", "\uFFFD", "--env", raw("A=\uFFFD"));
  });
});
