import type { ServerHttp2Stream } from "node:http2";
import { AppError } from "@berth/core";
import type { CallBudget } from "./receive-budget.ts";

/** A message must be whole this long after it began, and a second later for each of `slowestBytesPerSecond` of it. */
export const messageMs = 10_000;
const slowestBytesPerSecond = 128 * 1024;
/** One byte of flags, four of length, before each message of gRPC. */
const headerBytes = 5;

export interface GuardOptions {
  readonly budget: CallBudget;
  /** The largest message. */
  readonly mostBytes: number;
  /** Whether a message is expected at once: the one of a unary call. */
  readonly expected: boolean;
  readonly messageMs: number;
  /** Called at most once, with `invalid` MESSAGE_TOO_LARGE, `unavailable` MESSAGE_LATE, or the budget's error. */
  readonly onFault: (error: AppError) => void;
}

/** Follows the messages on one stream as they arrive, without keeping them: their size is known from their header, before grpc-js buffers them. */
export function guardMessages(stream: ServerHttp2Stream, options: GuardOptions): void {
  const header = Buffer.alloc(headerBytes);
  let headerLength = 0;
  let missing = 0;
  let timer: NodeJS.Timeout | undefined;

  const end = (): void => {
    clearTimeout(timer);
    stream.off("data", onData);
    options.budget.release();
  };
  const fail = (error: AppError): void => {
    end();
    options.onFault(error);
  };
  const expectWithin = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(
      // Its sender may have stood still for a moment: the same message may be sent again.
      () =>
        fail(new AppError("unavailable", "MESSAGE_LATE", "the request did not arrive whole in time; send it again")),
      ms,
    ).unref();
  };
  const onHeader = (): void => {
    const length = header.readUInt32BE(1);
    headerLength = 0;
    missing = length;
    if (length > options.mostBytes) {
      const rule = `must have at most ${options.mostBytes} bytes here, has ${length}`;
      throw new AppError("invalid", "MESSAGE_TOO_LARGE", `request: ${rule}`, { metadata: { field: "request", rule } });
    }
    options.budget.reserve(length);
    if (length > 0) expectWithin(options.messageMs + (length / slowestBytesPerSecond) * 1_000);
  };
  function onData(chunk: Buffer): void {
    try {
      for (let at = 0; at < chunk.length;) {
        if (missing > 0) {
          const taken = Math.min(missing, chunk.length - at);
          missing -= taken;
          at += taken;
        } else {
          const taken = chunk.copy(header, headerLength, at, at + headerBytes - headerLength);
          headerLength += taken;
          at += taken;
          if (headerLength === headerBytes) onHeader();
        }
      }
      if (missing === 0 && headerLength === 0) clearTimeout(timer);
      else if (headerLength > 0) expectWithin(options.messageMs);
    } catch (error) {
      fail(AppError.from(error));
    }
  }

  // Before grpc-js, which would keep what comes until the message is whole.
  stream.prependListener("data", onData);
  stream.once("end", () => clearTimeout(timer));
  stream.once("close", end);
  if (options.expected) expectWithin(options.messageMs);
}
