import { randomBytes } from "node:crypto";
import { context as otel, trace } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import { AppError } from "@berth/core";
import { detailsKey, encodeStatusDetails, statusOf } from "@berth/contracts";
import { ServerError, Status } from "nice-grpc-common";
import type { CallContext, ServerMiddleware, ServerMiddlewareCall } from "nice-grpc-common";
import { Deadlines } from "./deadlines.ts";
import type { Due } from "./deadlines.ts";
import { SentMessage } from "./gated-call.ts";
import type { Admitted } from "./grpc-admission.ts";
import type { Logger } from "./logger.ts";
import { histogram } from "./metrics.ts";
import { failSpan, isTracing, openSpan } from "./telemetry.ts";
import { readableRequest } from "./unreadable-message.ts";

export interface CallMiddlewareOptions {
  readonly logger: Logger;
  /** Deadline of a unary call; streams have none. */
  readonly deadlineMs: number;
  /** Aborted when the server stops: ends streams, which may otherwise never end. */
  readonly draining: AbortSignal;
}

/** Fields that middleware and handlers find in the context of a call. */
export interface AdmittedContext<A extends Admitted = Admitted> {
  /** The admitted caller; undefined if the method is open to everyone, or if the request is a stream. */
  readonly admitted: A | undefined;
}

/** The outermost layer of every call: deadline, end of streams at a stop, error to status, span, metric. */
export function callMiddleware(options: CallMiddlewareOptions): ServerMiddleware<AdmittedContext> {
  const deadlines = new Deadlines(options.deadlineMs);
  const durations = histogram("berth_grpc_server_seconds", "Calls served, by method and code", ["method", "code"]);
  return async function* served<Q, R>(
    call: ServerMiddlewareCall<Q, R>,
    outer: CallContext,
  ): AsyncGenerator<R, R | void, undefined> {
    const sent: unknown = call.request;
    const { message, admitted } = sent instanceof SentMessage ? sent : { message: sent, admitted: undefined };
    const startedAt = performance.now();
    const stop = new CallStop(
      outer.signal,
      call.responseStream ? options.draining : undefined,
      call.responseStream || call.requestStream ? undefined : deadlines,
    );
    const context = { ...outer, signal: stop.signal, admitted };
    const opened = isTracing()
      ? openSpan(call.method.path.slice(1), { kind: "server", parent: outer.metadata.get("traceparent") })
      : undefined;
    let code: Status = Status.OK;
    try {
      const readable = readableRequest(call.method.path, message);
      const request = (readable instanceof Promise ? await readable : readable) as Q;
      const steps: AsyncGenerator<R, R | void, undefined> = call.next(request, context);
      const result = yield* opened ? within(opened.scope, steps) : steps;
      // A stream that a stop has cut short must not look complete.
      if (call.responseStream && stop.cause) throw stop.cause;
      return result;
    } catch (thrown) {
      const mapped = toStatus(thrown, outer, stop, call.method.path, options.logger);
      code = mapped instanceof ServerError ? mapped.code : Status.CANCELLED;
      if (opened) failSpan(opened.span, thrown);
      throw mapped;
    } finally {
      stop.clear();
      opened?.span.end();
      durations.observe({ method: call.method.path, code: Status[code] }, (performance.now() - startedAt) / 1_000);
    }
  };
}

/** One signal for everything that may end a call. It uses plain listeners, because `AbortSignal.any` costs several times as much per call. */
class CallStop implements Due {
  readonly #controller = new AbortController();
  readonly #deadlines: Deadlines | undefined;
  readonly #caller: AbortSignal;
  readonly #draining: AbortSignal | undefined;
  /** The error that the client gets if the server ended the call. */
  cause: AppError | ServerError | undefined;

  constructor(caller: AbortSignal, draining: AbortSignal | undefined, deadlines: Deadlines | undefined) {
    this.#deadlines = deadlines;
    this.#caller = caller;
    this.#draining = draining;
    if (caller.aborted) this.#onCaller();
    else caller.addEventListener("abort", this.#onCaller);
    if (draining?.aborted) this.#onDraining();
    else draining?.addEventListener("abort", this.#onDraining);
    deadlines?.start(this);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  clear(): void {
    this.#deadlines?.stop(this);
    this.#caller.removeEventListener("abort", this.#onCaller);
    this.#draining?.removeEventListener("abort", this.#onDraining);
  }

  readonly #onCaller = (): void => this.#controller.abort(this.#caller.reason);
  readonly #onDraining = (): void =>
    this.#end(new AppError("unavailable", "SERVER_STOPPING", "this server is stopping; call again"));
  onDue(): void {
    this.#end(new ServerError(Status.DEADLINE_EXCEEDED, "the call took too long"));
  }
  #end(cause: AppError | ServerError): void {
    if (this.#controller.signal.aborted) return;
    this.cause = cause;
    this.#controller.abort(cause);
  }
}

/** Runs each step of a generator inside a context; one `context.with` around it all would end at the first step. */
async function* within<T, R>(scope: Context, steps: AsyncGenerator<T, R, undefined>): AsyncGenerator<T, R, undefined> {
  try {
    for (;;) {
      const step = await otel.with(scope, () => steps.next());
      if (step.done) return step.value;
      yield step.value;
    }
  } finally {
    await steps.return(undefined as never);
  }
}

function toStatus(thrown: unknown, context: CallContext, stop: CallStop, path: string, logger: Logger): unknown {
  const cause = stop.cause && (isAbort(thrown) || thrown === stop.cause) ? stop.cause : thrown;
  if (cause instanceof ServerError) return cause;
  // The client cancelled and reads no status. That is no error of the server.
  if (context.signal.aborted && isAbort(cause)) return cause;
  const error = AppError.from(cause);
  if (error.code !== "internal") {
    context.trailer.set(detailsKey, encodeStatusDetails(error));
    return new ServerError(statusOf(error.code), error.message);
  }
  const id = trace.getActiveSpan()?.spanContext().traceId ?? randomBytes(8).toString("hex");
  logger.error("a call failed inside", {
    method: path,
    errorId: id,
    error: error.reason === "INTERNAL" ? (error.cause ?? error) : error,
  });
  const told = AppError.received(
    "internal",
    error.reason,
    `something went wrong inside Berth; report it with id ${id}`,
    {
      metadata: { errorId: id },
    },
  );
  context.trailer.set(detailsKey, encodeStatusDetails(told));
  return new ServerError(statusOf("internal"), told.message);
}

const isAbort = (thrown: unknown): boolean =>
  thrown instanceof Object && "name" in thrown && thrown.name === "AbortError";
