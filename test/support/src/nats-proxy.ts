import type { Socket } from "node:net";
import { startProxy } from "./proxy.ts";

export interface LossyProxy {
  /** Where a client connects instead of the server. */
  readonly url: string;
  /** Messages that passed, and that were dropped. */
  readonly counts: { passed: number; dropped: number };
  /** From now on messages are dropped with that probability; 1 is a cut network. */
  lose(probability: number): void;
  close(): Promise<void>;
}

/**
 * Stands between a NATS client and its server and drops each message (PUB, HPUB, MSG, HMSG) with a probability, in both directions, by a seeded generator. What
 * keeps the connection alive passes.
 */
export async function lossyNatsProxy(
  target: { host: string; port: number },
  probability: number,
  seed: number,
): Promise<LossyProxy> {
  const random = mulberry32(seed);
  let losing = probability;
  const counts = { passed: 0, dropped: 0 };
  const keep = () => {
    const drop = random() < losing;
    counts[drop ? "dropped" : "passed"]++;
    return !drop;
  };
  const proxy = await startProxy(target, { host: "127.0.0.1", port: 0 }, (client, upstream) => {
    pipeFrames(client, upstream, keep);
    pipeFrames(upstream, client, keep);
  });
  return {
    url: `nats://127.0.0.1:${proxy.port}`,
    counts,
    lose: (next) => void (losing = next),
    close: () => proxy.close(),
  };
}

/** Cuts a NATS stream into its frames: a line, and for messages the payload that its last number announces. */
function pipeFrames(from: Socket, to: Socket, keep: () => boolean): void {
  let buffer = Buffer.alloc(0);
  from.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      const lineEnd = buffer.indexOf("\r\n");
      if (lineEnd < 0) return;
      const line = buffer.toString("latin1", 0, lineEnd);
      const isMessage = /^(PUB|HPUB|MSG|HMSG) /i.test(line);
      const payload = isMessage ? Number(line.slice(line.lastIndexOf(" ") + 1)) + 2 : 0;
      const size = lineEnd + 2 + payload;
      if (buffer.length < size) return;
      if (!isMessage || keep()) to.write(buffer.subarray(0, size));
      buffer = buffer.subarray(size);
    }
  });
}

/** A small seeded generator, the same sequence for the same seed everywhere. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
