import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameParser, sinceOf } from "./log-frames.ts";

const at = "2026-11-24T16:20:46.685192030Z";
const frame = (kind: number, text: Uint8Array): Buffer => {
  const payload = Buffer.concat([Buffer.from(`${at} `), text]);
  const header = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
};

describe("FrameParser", () => {
  it("takes the stream apart whatever way it was cut", () => {
    const pieces = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 });
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(60), { maxLength: 30 }), (texts, cuts) => {
        const bytes = Buffer.concat(texts.map(([kind, text]) => frame(kind, text)));
        const parser = new FrameParser();
        const entries = [];
        let from = 0;
        for (const cut of [...cuts, bytes.length])
          entries.push(...parser.feed(bytes.subarray(from, (from = Math.min(bytes.length, from + cut)))));
        expect(entries.map(({ stream, text }) => [stream, [...text]])).toEqual(
          texts.map(([kind, text]) => [kind === 1 ? "stdout" : "stderr", [...text]]),
        );
        expect(entries.every((entry) => entry.at === at)).toBe(true);
      }),
    );
  });

  it("refuses what is no such stream", () => {
    expect(() => new FrameParser().feed(Buffer.from("plain text of a terminal"))).toThrow("not a log frame");
    expect(() => new FrameParser().feed(frame(1, Buffer.alloc(0)).subarray(0, 4))).not.toThrow();
    expect(() => new FrameParser().feed(frame(3, Buffer.from("x")))).toThrow("not a log frame");
  });
});

it("asks for a time to the nanosecond", () => expect(sinceOf(at)).toBe("1795537246.685192030"));
