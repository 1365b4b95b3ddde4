import { AppError } from "@berth/core";
import type { Subject } from "@berth/contracts";
import { counter, isTracing, withSpan } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { errorHeaders, typeHeader } from "./wire.ts";

/** What a handler knows beside the message. */
export interface Incoming {
  /** Whose subject it came on. */
  readonly host: string;
  /** Aborted when serving ends. */
  readonly signal: AbortSignal;
}

export type Handler<Q, R> = (message: Q, incoming: Incoming) => Promise<R>;

export interface ServeOptions {
  /** Of those in one group, one gets each message. */
  readonly queue?: string;
  readonly signal?: AbortSignal;
  /** The most handlers that run at the same time. */
  readonly maxConcurrent?: number;
  /** The most messages that wait for a handler; more are answered `unavailable` BUSY. */
  readonly maxQueued?: number;
}

const never = new AbortController().signal;

export function serveOn<Q, R>(
  nats: NatsConnection,
  subject: Subject<Q, R>,
  host: string,
  handler: Handler<Q, R>,
  options: ServeOptions,
  logger: Logger,
): void {
  const { signal = never, maxConcurrent = 64, maxQueued = 4_096 } = options;
  if (signal.aborted) return;
  const waiting: Msg[] = [];
  let running = 0;

  async function run(first: Msg): Promise<void> {
    running += 1;
    for (let next: Msg | undefined = first; next; next = waiting.shift())
      await answer(next, subject, handler, signal, logger);
    running -= 1;
  }

  const subscription = nats.subscribe(host === "*" ? subject.all : subject.of(host), {
    ...(options.queue ? { queue: options.queue } : {}),
    callback(error, message) {
      if (error) logger.error("the bus ended a subscription", { subject: subject.type, error });
      else if (running < maxConcurrent) void run(message);
      else if (waiting.length < maxQueued) waiting.push(message);
      else refuse(message, new AppError("unavailable", "BUSY", `${maxQueued} messages wait already`));
    },
  });
  signal.addEventListener("abort", () => subscription.unsubscribe(), { once: true });
}

/** Never throws: errors are sent as the answer. */
async function answer<Q, R>(
  message: Msg,
  subject: Subject<Q, R>,
  handler: Handler<Q, R>,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  try {
    const host = message.subject.split(".")[3] ?? "";
    const call = async (): Promise<R> => handler(decode(message, subject), { host, signal });
    const traced = {
      kind: "server",
      parent: message.headers?.get("traceparent"),
      attributes: { "berth.host": host },
    } as const;
    const reply = await (isTracing() ? withSpan(subject.type, traced, call) : call());
    if (message.reply) message.respond(subject.reply.encode(reply).finish());
  } catch (thrown) {
    const error = AppError.from(thrown);
    if (error.code !== "unavailable") refused().inc({ type: subject.type, reason: error.reason });
    if (error.code === "internal" || !message.reply)
      logger.error("a message failed", { subject: message.subject, error: error.cause ?? error });
    refuse(message, error);
  }
}

const refused = () =>
  counter("berth_bus_messages_refused_total", "Messages that were not acted upon, by reason", ["type", "reason"]);

function decode<Q, R>(message: Msg, subject: Subject<Q, R>): Q {
  const type = message.headers?.get(typeHeader);
  if (type !== subject.type) {
    throw new AppError(
      "invalid",
      "MESSAGE_TYPE",
      `${message.subject} carries ${subject.type}, and not ${type || "a message without a type"}`,
    );
  }
  try {
    return subject.request.decode(message.data);
  } catch (cause) {
    throw new AppError("invalid", "MESSAGE_UNREADABLE", `the message on ${message.subject} cannot be read`, { cause });
  }
}

/** A connection that is gone takes its requests with it: they time out where they came from. */
function refuse(message: Msg, error: AppError): void {
  if (!message.reply) return;
  try {
    message.respond(undefined, { headers: errorHeaders(error) });
  } catch {
    return;
  }
}
