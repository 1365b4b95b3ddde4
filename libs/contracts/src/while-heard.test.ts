import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { whileHeard } from "./while-heard.ts";

const silenceMs = 60;

async function* words(count: number, everyMs: number, stop: AbortSignal): AsyncGenerator<number> {
  for (let n = 1; n <= count; n++) {
    await wait(everyMs, undefined, { signal: stop });
    yield n;
  }
}

async function hear(
  open: (stop: AbortSignal) => AsyncIterable<number>,
  { signal = new AbortController().signal, takesMs = 0 } = {},
): Promise<number[]> {
  const heard: number[] = [];
  for await (const n of whileHeard(open, { signal, silenceMs, service: "storage" })) {
    heard.push(n);
    await wait(takesMs);
  }
  return heard;
}

describe("whileHeard", () => {
  it("reads to the end, however long the whole takes", async () => {
    expect(await hear((stop) => words(8, 15, stop))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("leaves a stream that says nothing for too long", async () => {
    await expect(hear((stop) => words(1, 1_000, stop))).rejects.toMatchObject({
      code: "unavailable",
      reason: "STREAM_SILENT",
    });
  });

  it("does not count the time that its reader takes", async () => {
    expect(await hear((stop) => words(2, 5, stop), { takesMs: silenceMs * 2 })).toEqual([1, 2]);
  });

  it("ends with the reason of an abort", async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("enough")), 20);
    await expect(hear((until) => words(1, 1_000, until), { signal: stop.signal })).rejects.toThrow("enough");
    await expect(hear((until) => words(1, 1, until), { signal: stop.signal })).rejects.toThrow("enough");
  });
});
