import type { AppError } from "@berth/core";
import type { Subject } from "@berth/contracts";
import type { Bus, Incoming, RequestOptions, ServeOptions } from "@berth/nats";
import { unavailable } from "./network.ts";
import type { Network, Node } from "./network.ts";
import type { Random } from "./random.ts";
import type { Life } from "./time.ts";

interface Served {
  readonly node: Node;
  readonly life: Life;
  readonly type: string;
  readonly host: string;
  readonly handle: (bytes: Uint8Array, incoming: Incoming) => Promise<Uint8Array>;
}

/** A server of the bus: knows who serves what. It has no memory but that, and may be away. */
export class BusServer {
  readonly network: Network;
  readonly random: Random;
  readonly served: Served[] = [];
  readonly #onBack = new Map<Life, () => void>();
  #away = false;

  constructor(network: Network, random: Random) {
    this.network = network;
    this.random = random;
  }

  get away(): boolean {
    return this.#away;
  }

  /** The server is gone, with all messages in transit. When it is back, its clients reconnect. */
  setAway(away: boolean): void {
    this.#away = away;
    if (away) return;
    const { time } = this.network;
    for (const [life, onConnected] of this.#onBack) time.at(life, this.random.spread(1, 500), onConnected);
  }

  add(served: Served): void {
    this.served.push(served);
    served.life.onDeath(() => {
      const at = this.served.indexOf(served);
      if (at >= 0) this.served.splice(at, 1);
      this.#onBack.delete(served.life);
    });
  }

  onBack(life: Life, fn: () => void): void {
    this.#onBack.set(life, fn);
  }

  /** One of those who serve that subject for that host: each message has one receiver. */
  find(type: string, host: string): Served | undefined {
    const found = this.served.filter((each) => each.type === type && (each.host === "*" || each.host === host));
    return found.length === 0 ? undefined : this.random.pick(found);
  }
}

/** The bus as one process sees it; messages go through their wire form. */
export function simBus(server: BusServer, node: Node, life: Life, onConnected: () => void = () => {}): Bus {
  const { network, random } = server;
  const { time } = network;
  server.onBack(life, onConnected);
  time.at(life, random.spread(0.1, 5), onConnected);
  const away = (): AppError => unavailable("BUS_AWAY", "the bus is away");
  return {
    get connected() {
      return !server.away;
    },
    async ready() {},
    request<Q, R>(
      subject: Subject<Q, R>,
      host: string,
      message: Q,
      { signal, timeoutMs = 5_000 }: RequestOptions = {},
    ): Promise<R> {
      if (server.away) return Promise.reject(away());
      const bytes = subject.request.encode(message).finish();
      const to = server.find(subject.type, host);
      if (!to) return Promise.reject(unavailable("NO_RESPONDER", `nobody serves ${subject.type} for ${host}`));
      return network
        .call(node, to.node, `${subject.type} ${host}`, { deadlineMs: timeoutMs, signal, datagram: true }, (at) => {
          if (at !== to.life || server.away) return new Promise<Uint8Array>(() => {});
          return to.handle(bytes, { host, signal: never });
        })
        .then((reply) => subject.reply.decode(reply));
    },
    publish(subject, host, message) {
      const to = server.away ? undefined : server.find(subject.type, host);
      if (!to) return;
      const bytes = subject.request.encode(message).finish();
      network.send(node, life, to.node, `${subject.type} ${host}`, (at) => {
        if (at === to.life && !server.away) void to.handle(bytes, { host, signal: never }).catch(() => {});
      });
    },
    serve<Q, R>(
      subject: Subject<Q, R>,
      host: string,
      handler: (message: Q, incoming: Incoming) => Promise<R>,
      _options?: ServeOptions,
    ): void {
      const handle = async (bytes: Uint8Array, incoming: Incoming): Promise<Uint8Array> =>
        subject.reply.encode(await handler(subject.request.decode(bytes), incoming)).finish();
      server.add({ node, life, type: subject.type, host, handle });
    },
  };
}

const never = new AbortController().signal;
