import { randomUUID } from "node:crypto";
import { AppError } from "@berth/core";
import type { SubmitTasksResponse } from "@berth/contracts/api";
import { decodeStatusDetails, detailsKey, errorCodeOf } from "@berth/contracts";
import { ClientError, Metadata } from "nice-grpc-common";
import type { CallOptions, ClientMiddleware, ClientMiddlewareCall } from "nice-grpc-common";

/** Options of one call. */
export interface CallExtras {
  /** Time limit of a call with one answer, retries included. */
  readonly deadlineMs?: number;
  /** How long a call that fails with `unavailable` is retried, if it may be repeated. */
  readonly patienceMs?: number;
}

export interface CallDefaults {
  readonly server: string;
  /** An access token or API key; undefined: the call is anonymous. */
  readonly credential: string | undefined;
  readonly deadlineMs: number;
  readonly patienceMs: number;
  /** Number of gateways beyond the first. At least that many retries are made, however short the patience, because another gateway may answer. */
  readonly others: number;
}

/** Calls that must not be repeated, because each creates something. All other calls of the API may be. */
const notRepeatable = /\/(CreateKey|CreateUser|AddFile)$/;

interface Submit {
  readonly requestId?: string;
  readonly dryRun?: boolean;
  readonly tasks?: readonly Submit[];
}

/** Gives a submit without a request id one, so that a retry finds the task of the first try. */
export function withRequestIds<Q>(path: string, request: Q): Q {
  const named = <S extends Submit>(one: S): S =>
    one.requestId || one.dryRun ? one : { ...one, requestId: randomUUID() };
  if (path.endsWith("/SubmitTask")) return named(request as Q & Submit);
  const { tasks } = request as Submit;
  return path.endsWith("/SubmitTasks") && tasks ? { ...request, tasks: tasks.map(named) } : request;
}

/** A submit may be repeated if it has a request id. */
function isRepeatable(path: string, request: unknown): boolean {
  if (notRepeatable.test(path)) return false;
  const named = ({ requestId, dryRun }: Submit): boolean => Boolean(requestId) || dryRun === true;
  if (path.endsWith("/SubmitTask")) return named(request as Submit);
  return path.endsWith("/SubmitTasks") ? ((request as Submit).tasks ?? []).every(named) : true;
}

/** Whether the answer leaves open for some tasks whether they were submitted. The call may be repeated as a whole, because of its request ids. */
function hasUnknownResults(path: string, answer: unknown): boolean {
  if (!path.endsWith("/SubmitTasks")) return false;
  return (answer as SubmitTasksResponse).results.some(({ failure }) => failure?.code === "unavailable");
}

/**
 * Calls fail with AppError only: the server's own, or `unavailable` NO_ANSWER where there came none, and then the outcome is not known.
 * An abort throws the signal's reason.
 */
export function callErrors(defaults: CallDefaults): ClientMiddleware<CallExtras> {
  return async function* (call, { deadlineMs = defaults.deadlineMs, patienceMs = defaults.patienceMs, ...options }) {
    const send = (signal: AbortSignal | undefined) => {
      const trailer = new Trailer(options, defaults.server);
      const metadata = Metadata(options.metadata);
      if (defaults.credential !== undefined) metadata.set("authorization", `Bearer ${defaults.credential}`);
      return { trailer, options: { ...options, metadata, onTrailer: trailer.on, ...(signal ? { signal } : {}) } };
    };
    if (call.responseStream || call.requestStream) {
      const sent = send(options.signal);
      try {
        return yield* call.next(call.request, sent.options);
      } catch (thrown) {
        options.signal?.throwIfAborted();
        throw sent.trailer.toAppError(thrown);
      }
    }
    return await unary(
      call as Unary<typeof call.request, never>,
      send,
      { deadlineMs, patienceMs },
      defaults,
      options.signal,
    );
  };
}

type Unary<Q, R> = Extract<ClientMiddlewareCall<Q, R>, { requestStream: false; responseStream: false }>;
type Send = (signal: AbortSignal | undefined) => { trailer: Trailer; options: CallOptions };

async function unary<Q, R>(
  call: Unary<Q, R>,
  send: Send,
  times: Required<CallExtras>,
  { server, others }: CallDefaults,
  signal: AbortSignal | undefined,
): Promise<R> {
  const startedAt = performance.now();
  const { path } = call.method;
  const request = withRequestIds(path, call.request);
  const late = AbortSignal.timeout(times.deadlineMs);
  const either = signal ? AbortSignal.any([signal, late]) : late;
  for (let attempt = 0; ; attempt++) {
    const sent = send(either);
    const waitMs = Math.min(1_000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);
    const mayRepeat = (): boolean =>
      (attempt < others || performance.now() - startedAt + waitMs < times.patienceMs) && isRepeatable(path, request);
    try {
      const answer = (await call.next(request, sent.options).next()).value as R;
      if (!hasUnknownResults(path, answer) || !mayRepeat()) return answer;
    } catch (thrown) {
      signal?.throwIfAborted();
      if (late.aborted)
        throw new AppError("unavailable", "NO_ANSWER", `${server} did not answer within ${times.deadlineMs / 1000} s`);
      const error = sent.trailer.toAppError(thrown);
      if (error.code !== "unavailable" || !mayRepeat()) throw error;
    }
    await pause(waitMs, signal);
  }
}

/** Waits. Throws the signal's reason if aborted. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Keeps the details that come in the trailer, since nice-grpc's error carries only code and text. */
class Trailer {
  readonly #server: string;
  readonly on: (metadata: Metadata) => void;
  #metadata: Metadata | undefined;

  constructor(options: CallOptions, server: string) {
    this.#server = server;
    this.on = (metadata) => {
      this.#metadata = metadata;
      options.onTrailer?.(metadata);
    };
  }

  toAppError(thrown: unknown): AppError {
    if (!(thrown instanceof ClientError)) return AppError.from(thrown);
    const bytes = this.#metadata?.get(detailsKey);
    const details = bytes && decodeStatusDetails(bytes);
    const code = errorCodeOf(thrown.code, thrown.details);
    if (details) return AppError.received(code, details.reason, thrown.details, { metadata: details.metadata });
    const metadata = { server: this.#server };
    if (code === "unavailable")
      return new AppError(code, "NO_ANSWER", `${this.#server} does not answer`, { cause: thrown, metadata });
    return new AppError(code, "CALL_FAILED", `${this.#server}: ${thrown.details}`, { cause: thrown, metadata });
  }
}
