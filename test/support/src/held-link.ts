import type { Socket } from "node:net";
import { startProxy } from "./proxy.ts";

export interface HeldLink extends AsyncDisposable {
  /** Where a service connects instead of the server. */
  readonly address: string;
  /** From now on what the client says waits on the way; what the server says passes. */
  hold(): void;
  /** Whether that text waits on the way. */
  holds(text: string): boolean;
  /** Sends on what waited, in order. */
  release(): void;
}

/** A slow network between a client and a server, both on socket files: what was said before a moment arrives when the test wants it to. */
export async function startHeldLink(target: string, at: string): Promise<HeldLink> {
  let holding = false;
  let held: { to: Socket; chunk: Buffer }[] = [];
  const pathOf = (address: string): string => address.replace(/^unix:/, "");
  const proxy = await startProxy({ path: pathOf(target) }, { path: pathOf(at) }, (client, upstream) => {
    client.on("data", (chunk: Buffer) => {
      if (holding) held.push({ to: upstream, chunk });
      else upstream.write(chunk);
    });
    upstream.pipe(client);
  });
  return {
    address: at,
    hold: () => void (holding = true),
    holds: (text) => Buffer.concat(held.map(({ chunk }) => chunk)).includes(text),
    release() {
      holding = false;
      for (const { to, chunk } of held) to.write(chunk);
      held = [];
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}
