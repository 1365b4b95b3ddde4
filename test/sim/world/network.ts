import { AppError } from "@berth/core";
import type { Random } from "./random.ts";
import type { Life, VirtualTime } from "./time.ts";

/** A place where processes live one after the other. */
export class Node {
  readonly name: string;
  life: Life | undefined;
  /** Since when who lives here can act: its start, or the end of its last stall. */
  awakeSinceMs = 0;
  /** Nothing goes in or out. */
  cutOff = false;
  /** Delay of the streams that it reads. */
  streamLagMs = 0;
  /** That part of its writes fails: its disk is full, or nearly. */
  failingWrites = 0;
  /** Dies at its next write: before it is done, or right after. */
  dieAtWrite: "before" | "after" | undefined;

  constructor(name: string) {
    this.name = name;
  }
}

/** What may go wrong with a message, each as a part of all. */
export interface MessageFaults {
  lost: number;
  doubled: number;
  delayed: number;
  /** The longest delay of a delayed one. */
  delayMs: number;
}

export const noMessageFaults = (): MessageFaults => ({ lost: 0, doubled: 0, delayed: 0, delayMs: 0 });

export const unavailable = (reason: `${Uppercase<string>}`, message: string): AppError =>
  AppError.received("unavailable", reason, message);

export interface CallOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Over a bus: the caller does not notice that its receiver is gone. */
  readonly datagram?: boolean;
}

interface OpenCall {
  readonly fail: (error: AppError) => void;
}

/** Carries messages between nodes, and loses, doubles, delays and reorders them as the weather is. */
export class Network {
  readonly time: VirtualTime;
  readonly weather: MessageFaults = noMessageFaults();
  readonly #random: Random;
  readonly #open = new Map<Life, Set<OpenCall>>();
  readonly #trace: (what: string) => void;
  readonly #onBug: (error: unknown) => void;
  messages = 0;

  /** `onBug` is called with an error that a server did not throw on purpose. */
  constructor(time: VirtualTime, random: Random, trace: (what: string) => void, onBug: (error: unknown) => void) {
    this.time = time;
    this.#random = random;
    this.#trace = trace;
    this.#onBug = onBug;
  }

  latencyMs(): number {
    const { delayed, delayMs } = this.weather;
    return this.#random.chance(delayed) ? this.#random.spread(5, delayMs) : this.#random.spread(0.1, 2);
  }

  /** Brings one message: never, once, or now and then twice. Whoever is dead or was cut off when it was sent sends nothing. */
  send(from: Node, sender: Life, to: Node, what: string, arrive: (receiver: Life | undefined) => void): void {
    if (!sender.alive) return;
    this.messages += 1;
    if (from.cutOff || to.cutOff || this.#random.chance(this.weather.lost)) {
      this.#trace(`${from.name} → ${to.name} ${what}: lost`);
      return;
    }
    this.#bring(to, arrive);
    if (this.#random.chance(this.weather.doubled)) {
      this.#trace(`${from.name} → ${to.name} ${what}: doubled`);
      this.#bring(to, arrive);
    }
  }

  #bring(to: Node, arrive: (receiver: Life | undefined) => void): void {
    this.time.at(this.time.world, this.latencyMs(), () => {
      const receiver = to.life;
      if (to.cutOff) return;
      if (receiver?.alive) this.time.at(receiver, 0, () => arrive(receiver));
      else arrive(undefined);
    });
  }

  /**
   * Calls `to` over a connection. Fails with PEER_UNAVAILABLE if no process lives there or it dies during the call, and with DEADLINE_EXCEEDED if the request
   * or answer is lost.
   */
  call<R>(
    from: Node,
    to: Node,
    what: string,
    { deadlineMs, signal, datagram = false }: CallOptions,
    handle: (server: Life) => Promise<R>,
  ): Promise<R> {
    const { time } = this;
    const caller = time.current;
    return new Promise<R>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      let over = false;
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        settle();
      };
      const onAbort = (): void => end(() => reject(signal!.reason as Error));
      const late = (): void => end(() => reject(unavailable("DEADLINE_EXCEEDED", `${what}: no answer in time`)));
      const timer = setTimeout(late, deadlineMs);
      signal?.addEventListener("abort", onAbort);
      const refused = (): void => {
        time.at(caller, this.latencyMs(), () =>
          end(() => reject(unavailable("PEER_UNAVAILABLE", `${to.name} does not answer`))),
        );
      };
      this.send(from, caller, to, what, (server) => {
        if (!server) return datagram ? undefined : refused();
        const close = datagram ? () => {} : this.#openAt(server, { fail: refused });
        const answer = (settle: () => void): void => {
          close();
          this.send(to, server, from, `answer to ${what}`, (arrived) => {
            if (arrived === caller) end(settle);
          });
        };
        handle(server).then(
          (result) => answer(() => resolve(result)),
          (error: unknown) => answer(() => reject(this.#overWire(server, error))),
        );
      });
    });
  }

  /** Something that fails where that process dies; call what it returns when it is over. */
  #openAt(life: Life, call: OpenCall): () => void {
    let calls = this.#open.get(life);
    if (!calls) {
      const made = new Set<OpenCall>();
      this.#open.set(life, (calls = made));
      life.onDeath(() => {
        this.#open.delete(life);
        for (const { fail } of made) fail(unavailable("PEER_UNAVAILABLE", `${life.name} is gone`));
      });
    }
    const mine = calls;
    mine.add(call);
    return () => void mine.delete(call);
  }

  /** A stream from `to`: in order, over one connection. Cut off it goes silent; where its server dies it fails. */
  stream<T>(
    from: Node,
    to: Node,
    what: string,
    signal: AbortSignal,
    open: (stop: AbortSignal) => AsyncIterable<T>,
    onPart: (part: T) => void,
  ): AsyncIterable<T> {
    const { time } = this;
    const reader = time.current;
    const queue = new StreamQueue<T>(signal, onPart);
    let lastMs = 0;
    let silent = false;
    /** Never before what was sent earlier. */
    const inOrder = (lagMs: number, fn: () => void): void => {
      if (from.cutOff || to.cutOff) silent = true;
      if (silent) return;
      lastMs = Math.max(lastMs, time.nowMs + this.latencyMs() + lagMs);
      time.at(reader, lastMs - time.nowMs, fn);
    };
    const broken = (): void =>
      inOrder(0, () => queue.fail(unavailable("PEER_UNAVAILABLE", `${to.name} does not answer`)));
    this.send(from, reader, to, what, (server) => {
      if (!server) return broken();
      const stop = new AbortController();
      const hangUp = (): void => {
        time.at(time.world, this.latencyMs(), () => time.at(server, 0, () => stop.abort(new Error("cancelled"))));
      };
      reader.onDeath(hangUp);
      queue.onLeft = hangUp;
      if (queue.left) hangUp();
      const close = this.#openAt(server, { fail: broken });
      const pump = async (): Promise<void> => {
        try {
          for await (const part of open(stop.signal)) {
            if (!server.alive || stop.signal.aborted) return;
            inOrder(from.streamLagMs, () => queue.push(part));
          }
          inOrder(from.streamLagMs, () => queue.end());
        } catch (error) {
          if (server.alive) inOrder(0, () => queue.fail(this.#overWire(server, error)));
        } finally {
          close();
        }
      };
      void pump();
    });
    return queue;
  }

  /** What a client sees of an error: code, reason and text, never the object. */
  #overWire(server: Life, thrown: unknown): AppError {
    const error = AppError.from(thrown);
    if (error.code === "internal" && server.alive) this.#onBug(error.cause ?? error);
    return AppError.received(error.code, error.reason, error.message, { metadata: error.metadata });
  }
}

class StreamQueue<T> implements AsyncIterable<T>, AsyncIterator<T> {
  readonly #parts: T[] = [];
  readonly #onPart: (part: T) => void;
  #error: unknown;
  #ended = false;
  #wake: (() => void) | undefined;
  left = false;
  onLeft: () => void = () => {};

  constructor(signal: AbortSignal, onPart: (part: T) => void) {
    this.#onPart = onPart;
    signal.addEventListener("abort", () => {
      this.fail(signal.reason);
      this.#leave();
    });
  }

  push(part: T): void {
    this.#parts.push(part);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#error ??= error;
    this.end();
  }

  async next(): Promise<IteratorResult<T>> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.#onPart(part);
        return { done: false, value: part };
      }
      if (this.#error !== undefined) throw this.#error as Error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async return(): Promise<IteratorResult<T>> {
    this.#leave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this;
  }

  #leave(): void {
    if (this.left) return;
    this.left = true;
    this.onLeft();
  }
}
