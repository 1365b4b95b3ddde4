import { AppError, deadlineExceeded } from "@berth/core";
import type { Subject } from "@berth/contracts";
import { inject, isTracing, withSpan } from "@berth/runtime";
import { RequestError, TimeoutError, errors } from "@nats-io/transport-node";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { errorOf, typed } from "./wire.ts";

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export async function sendRequest<Q, R>(
  nats: NatsConnection,
  subject: Subject<Q, R>,
  host: string,
  message: Q,
  options: RequestOptions,
): Promise<R> {
  const to = subject.of(host);
  const payload = encode(nats, subject, message);
  const send = async (): Promise<Msg> => {
    const headers = typed(subject.type);
    inject(headers);
    return nats.request(to, payload, { timeout: options.timeoutMs ?? 5_000, headers });
  };
  const sent = isTracing()
    ? withSpan(subject.type, { kind: "client", attributes: { "berth.host": host } }, send)
    : send();
  let reply: Msg;
  try {
    reply = await abortable(sent, options.signal);
  } catch (thrown) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw toAppError(thrown, to);
  }
  const refused = errorOf(reply);
  if (refused) throw refused;
  try {
    return subject.reply.decode(reply.data);
  } catch (cause) {
    throw new AppError("internal", "MESSAGE_UNREADABLE", `the reply on ${to} cannot be read`, { cause });
  }
}

export function sendPublish<Q, R>(nats: NatsConnection, subject: Subject<Q, R>, host: string, message: Q): void {
  const headers = typed(subject.type);
  inject(headers);
  nats.publish(subject.of(host), encode(nats, subject, message), { headers });
}

function encode<Q, R>(nats: NatsConnection, subject: Subject<Q, R>, message: Q): Uint8Array {
  const payload = subject.request.encode(message).finish();
  const limit = nats.info?.max_payload ?? Infinity;
  if (payload.length <= limit) return payload;
  throw new AppError(
    "invalid",
    "MESSAGE_TOO_LARGE",
    `${subject.type} has ${payload.length} bytes; the bus takes ${limit}`,
  );
}

/** The library knows no signals: the request itself ends at its timeout, unheard. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function toAppError(thrown: unknown, subject: string): AppError {
  if (thrown instanceof RequestError && thrown.isNoResponders()) {
    return new AppError("unavailable", "NO_RESPONDER", `nobody serves ${subject}`);
  }
  const late = [thrown, thrown instanceof Error ? thrown.cause : undefined].some(
    (error) => error instanceof TimeoutError,
  );
  if (late) return deadlineExceeded(subject);
  const gone = [errors.ClosedConnectionError, errors.DrainingConnectionError, errors.ConnectionError];
  if (thrown instanceof RequestError || gone.some((kind) => thrown instanceof kind)) {
    return new AppError("unavailable", "BUS_AWAY", "the message bus was lost", { cause: thrown });
  }
  return AppError.from(thrown);
}
