import type { Readable } from "node:stream";

/** One line of input, without its end. */
export interface InputLine {
  /** From 1, empty lines counted. */
  readonly number: number;
  /** Undefined where the line has more bytes than allowed: it was skipped. */
  readonly bytes: Buffer | undefined;
}

const newline = 0x0a;

/**
 * Lines of bytes, split at \n only (readline also splits at U+2028 and U+2029, which JSON allows in a text); a \r before it belongs to the end. A last line needs no
 * \n. Of a line with more than `mostBytes`, no more than that is ever held.
 */
export async function* inputLines(input: Readable, mostBytes: number): AsyncGenerator<InputLine> {
  let number = 1;
  let held: Buffer[] = [];
  let heldBytes = 0;
  const add = (piece: Buffer): void => {
    heldBytes += piece.length;
    if (heldBytes <= mostBytes) held.push(piece);
    else held = [];
  };
  const take = (): InputLine => {
    const whole = heldBytes <= mostBytes ? Buffer.concat(held) : undefined;
    held = [];
    heldBytes = 0;
    return { number: number++, bytes: whole?.at(-1) === 0x0d ? whole.subarray(0, -1) : whole };
  };
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      add(bytes.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < bytes.length) add(bytes.subarray(start));
  }
  if (heldBytes > 0) yield take();
}
