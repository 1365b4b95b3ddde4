import type { ServerHttp2Stream } from "node:http2";
import { AppError } from "@berth/core";
import type { Deadlines, Due } from "./deadlines.ts";
import type { CallBudget } from "./receive-budget.ts";

/** Time limit of a message, plus one second per `slowestBytesPerSecond` of its length. */
export const messageMs = 10_000;
const slowestBytesPerSecond = 128 * 1024;
/** Before each message gRPC sends one byte of flags and four bytes of length. */
const headerBytes = 5;

export interface GuardOptions {
  readonly budget: CallBudget;
  /** Size limit of a message. */
  readonly mostBytes: number;
  /** Whether a message must follow the headers immediately, as in a unary call. */
  readonly expected: boolean;
  /** Deadline of an empty message. At its end the longer deadline of a larger message is checked, and this one restarted. */
  readonly deadlines: Deadlines;
  /** Called at most once, with `invalid` MESSAGE_TOO_LARGE, `unavailable` MESSAGE_LATE, or the budget's error. */
  readonly onFault: (error: AppError) => void;
}

/** Follows the messages on one stream as they arrive, without keeping them: their size is known from their header, before grpc-js buffers them. */
export class MessageGuard implements Due {
  readonly #stream: ServerHttp2Stream;
  readonly #options: GuardOptions;
  /** The bytes of a header that has arrived only partly. */
  #header: number[] = [];
  #missing = 0;
  /** Deadline of the arriving message, by its length. */
  #lateAt = 0;

  constructor(stream: ServerHttp2Stream, options: GuardOptions) {
    this.#stream = stream;
    this.#options = options;
    // Listens before grpc-js does, because grpc-js would buffer the message until it is complete.
    stream.prependListener("data", this.#onData);
    stream.once("close", this.#end);
    if (options.expected) options.deadlines.start(this);
  }

  onDue(): void {
    if (this.#stream.readableEnded) return; // The stream has ended; grpc-js refuses an incomplete message.
    // Timers may fire a fraction of a millisecond early.
    if (performance.now() < this.#lateAt - 1) return this.#options.deadlines.start(this);
    // `unavailable`, because the client may have been paused: it may send the same message again.
    this.#fail(new AppError("unavailable", "MESSAGE_LATE", "the request did not arrive whole in time; send it again"));
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      let began = false;
      for (let at = 0; at < chunk.length;) {
        if (this.#missing > 0) {
          const taken = Math.min(this.#missing, chunk.length - at);
          this.#missing -= taken;
          at += taken;
          continue;
        }
        began = true;
        if (this.#header.length === 0 && chunk.length - at >= headerBytes) {
          this.#onHeader(chunk.readUInt32BE(at + 1));
          at += headerBytes;
        } else {
          this.#header.push(chunk[at]!);
          at += 1;
          if (this.#header.length === headerBytes) this.#onHeader(Buffer.from(this.#header).readUInt32BE(1));
        }
      }
      if (this.#missing === 0 && this.#header.length === 0) this.#options.deadlines.stop(this);
      else if (began) this.#options.deadlines.start(this);
    } catch (error) {
      this.#fail(AppError.from(error));
    }
  };

  #onHeader(length: number): void {
    const { mostBytes, budget, deadlines } = this.#options;
    if (length > mostBytes) {
      const rule = `must have at most ${mostBytes} bytes here, has ${length}`;
      throw new AppError("invalid", "MESSAGE_TOO_LARGE", `request: ${rule}`, { metadata: { field: "request", rule } });
    }
    budget.reserve(length);
    this.#header = [];
    this.#missing = length;
    this.#lateAt = performance.now() + deadlines.afterMs + (length / slowestBytesPerSecond) * 1_000;
  }

  readonly #end = (): void => {
    this.#options.deadlines.stop(this);
    this.#options.budget.release();
  };

  #fail(error: AppError): void {
    this.#end();
    this.#stream.off("data", this.#onData);
    this.#options.onFault(error);
  }
}
