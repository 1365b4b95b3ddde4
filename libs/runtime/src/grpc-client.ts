import type { Channel, ChannelCredentials, ServiceDefinition } from "@grpc/grpc-js";
import { AppError, deadlineExceeded } from "@berth/core";
import { decodeStatusDetails, detailsKey, errorCodeOf } from "@berth/contracts";
import { addressCount, openChannel } from "@berth/contracts/channel";
import { createClientFactory } from "nice-grpc";
import type { Client } from "nice-grpc";
import { ClientError, Metadata, Status } from "nice-grpc-common";
import type { CallOptions, ClientMiddleware, ClientMiddlewareCall } from "nice-grpc-common";
import type { Closing } from "./closing.ts";
import { retry } from "./retry.ts";
import { inject, isTracing, withSpan } from "./telemetry.ts";

/** A channel to `addresses` (see `openChannel`), closed by `closing`. */
export function grpcChannel(
  addresses: string,
  options: { readonly closing: Closing; readonly credentials?: ChannelCredentials; readonly serverName?: string },
): Channel {
  const channel = openChannel(addresses, options.credentials, options.serverName);
  options.closing.add(() => channel.close());
  return channel;
}

export interface GrpcClientOptions {
  /** Name of the service, for error messages: `storage`. */
  readonly service: string;
  /** The whole `authorization` value, or a function that returns the current one. */
  readonly authorization?: string | (() => string | undefined) | undefined;
  /**
   * Methods that are safe to send twice; true: all. They are retried on `unavailable` until the deadline. With several addresses a try ends after a third of
   * the deadline, and the next one goes to another copy.
   */
  readonly idempotent?: true | readonly string[];
  /** Default deadline of unary calls. */
  readonly deadlineMs?: number;
}

/** Options of one call. */
export interface CallExtras {
  /** Deadline of a unary call, with its retries. */
  readonly deadlineMs?: number;
}

export type GrpcClient<D extends ServiceDefinition> = Client<D, CallExtras>;

/**
 * A client whose calls fail only with AppErrors. If the server answered, it is the server's error. Without an answer it is `unavailable` PEER_UNAVAILABLE or
 * DEADLINE_EXCEEDED, and the call may or may not have been carried out. An abort throws the signal's reason.
 */
export function grpcClient<D extends ServiceDefinition>(
  definition: D,
  channel: Channel,
  options: GrpcClientOptions,
): GrpcClient<D> {
  return createClientFactory()
    .use(clientMiddleware(options, addressCount(channel) > 1))
    .create(definition, channel);
}

const triesPerDeadline = 3;
const minTryMs = 300;

function clientMiddleware(
  { service, authorization, idempotent = [], deadlineMs: usual = 10_000 }: GrpcClientOptions,
  hasCopies: boolean,
): ClientMiddleware<CallExtras> {
  const metadataOf = (given: Metadata | undefined): Metadata => {
    const metadata = Metadata(given);
    const value = typeof authorization === "function" ? authorization() : authorization;
    if (value !== undefined && !metadata.has("authorization")) metadata.set("authorization", value);
    inject(metadata);
    return metadata;
  };

  async function unary<Q, R>(call: Unary<Q, R>, options: CallOptions, deadlineMs: number): Promise<R> {
    const stop = new AbortController();
    // Created only when needed, because an error with its stack costs a thirtieth of a call.
    const late = (): AppError => deadlineExceeded(service, { limitMs: deadlineMs, metadata: { service } });
    const onAbort = (): void => stop.abort(options.signal?.reason);
    options.signal?.addEventListener("abort", onAbort);
    if (options.signal?.aborted) onAbort();
    const endsAt = performance.now() + deadlineMs;
    const timer = setTimeout(() => stop.abort(late()), deadlineMs);
    const once = async (signal: AbortSignal): Promise<R> => {
      const metadata = metadataOf(options.metadata);
      // nice-grpc has no deadlines. This header tells the server ours.
      metadata.set("grpc-timeout", `${Math.min(99_999_999, Math.max(1, Math.ceil(endsAt - performance.now())))}m`);
      const trailer = new Trailer(options);
      try {
        return await complete(call.next(call.request, { ...options, metadata, signal, onTrailer: trailer.on }));
      } catch (thrown) {
        if (signal.aborted) throw signal.reason;
        throw trailer.toAppError(thrown, service);
      }
    };
    try {
      const safe =
        idempotent === true || idempotent.includes(call.method.path.slice(call.method.path.lastIndexOf("/") + 1));
      if (!safe) return await once(stop.signal);
      const tryMs = hasCopies ? Math.max(minTryMs, deadlineMs / triesPerDeadline) : deadlineMs;
      const each = tryMs < deadlineMs ? () => within(tryMs, once, stop.signal, service) : () => once(stop.signal);
      return await retryUntil(each, endsAt, stop.signal);
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  return async function* (call, { deadlineMs = usual, ...options }) {
    if (!call.responseStream && !call.requestStream) {
      const sent = call as Unary<
        typeof call.request,
        Awaited<ReturnType<ReturnType<typeof call.next>["next"]>>["value"]
      >;
      if (!isTracing()) return await unary(sent, options, deadlineMs);
      return await withSpan(call.method.path.slice(1), { kind: "client" }, () => unary(sent, options, deadlineMs));
    }
    const trailer = new Trailer(options);
    try {
      return yield* call.next(call.request, {
        ...options,
        metadata: metadataOf(options.metadata),
        onTrailer: trailer.on,
      });
    } catch (thrown) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw trailer.toAppError(thrown, service);
    }
  };
}

type Unary<Q, R> = Extract<ClientMiddlewareCall<Q, R>, { requestStream: false; responseStream: false }>;

/** Retries a call only if its answer was lost or its server is away. A refusal is final. */
async function retryUntil<R>(once: () => Promise<R>, endsAt: number, signal: AbortSignal): Promise<R> {
  return retry(once, { signal, forMs: endsAt - performance.now(), baseMs: 30, maxMs: 1_000 });
}

/** Timeout of one try, so that a copy that does not answer leaves time for the others. */
async function within<R>(
  ms: number,
  once: (signal: AbortSignal) => Promise<R>,
  outer: AbortSignal,
  service: string,
): Promise<R> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(outer.reason);
  outer.addEventListener("abort", onAbort);
  const late = (): AppError =>
    new AppError("unavailable", "PEER_SILENT", `a copy of ${service} did not answer within ${ms} ms`);
  const timer = setTimeout(() => stop.abort(late()), ms);
  try {
    return await once(stop.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", onAbort);
  }
}

async function complete<R>(steps: AsyncGenerator<never, R, undefined>): Promise<R> {
  const step = await steps.next();
  if (!step.done) throw new Error("a unary call gave a stream");
  return step.value;
}

/** Keeps the details from the trailer, because nice-grpc's error has only code and text. */
class Trailer {
  #metadata: Metadata | undefined;
  readonly on: (metadata: Metadata) => void;

  constructor({ onTrailer }: CallOptions) {
    this.on = (metadata) => {
      this.#metadata = metadata;
      onTrailer?.(metadata);
    };
  }

  toAppError(thrown: unknown, service: string): AppError {
    if (!(thrown instanceof ClientError)) return AppError.from(thrown);
    const bytes = this.#metadata?.get(detailsKey);
    const details = bytes && decodeStatusDetails(bytes);
    const code = errorCodeOf(thrown.code, thrown.details);
    if (details) return AppError.received(code, details.reason, thrown.details, { metadata: details.metadata });
    const metadata = { service, grpcStatus: Status[thrown.code] };
    if (thrown.code === Status.DEADLINE_EXCEEDED) {
      return deadlineExceeded(service, { metadata });
    }
    if (code === "unavailable") {
      return new AppError(code, "PEER_UNAVAILABLE", `${service} does not answer: ${thrown.details}`, { metadata });
    }
    return new AppError(code, "PEER_FAILED", `${service}: ${thrown.details}`, { cause: thrown, metadata });
  }
}
