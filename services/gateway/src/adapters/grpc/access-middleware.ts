import type { Admit, AdmittedContext, ServerMiddleware } from "@berth/runtime";
import { holdWhile, isForAnyone } from "../../app/authorize.ts";
import type { Authorize } from "../../app/authorize.ts";
import type { StreamLimit } from "../../app/stream-limit.ts";
import type { ApiCaller, SessionCaller } from "../../domain/caller.ts";

/** The call context of every handler. */
export interface CallerContext {
  readonly caller: ApiCaller;
}

/** Looks at the credential before a message is read. */
export const admitCallers =
  (authorize: Authorize): Admit<SessionCaller> =>
  (path, authorization) =>
    isForAnyone(path) ? undefined : authorize(path, authorization);

/** Gives handlers the caller. Streams are counted per user, and the caller's credential is checked again while a stream is open. */
export function accessMiddleware(
  authorize: Authorize,
  streams: StreamLimit,
  options: { readonly recheckMs?: number } = {},
): ServerMiddleware<CallerContext, AdmittedContext<SessionCaller>> {
  return async function* (call, context) {
    const { path } = call.method;
    const authorization = context.metadata.get("authorization");
    // For a unary request the admission passes the caller on with the message. For a stream of requests the caller is looked up again.
    const { user, admin, keyId } = context.admitted ?? (await authorize(path, authorization));
    const caller: ApiCaller = { user, admin, keyId, address: addressOf(context.peer) };
    if (isForAnyone(path) || (!call.responseStream && !call.requestStream))
      return yield* call.next(call.request, Object.assign(context, { caller }));
    const leave = streams.enter(caller.user);
    const held = holdWhile(async () => authorize(path, authorization), options.recheckMs);
    try {
      const signal = AbortSignal.any([context.signal, held.signal]);
      const result = yield* call.next(call.request, { ...context, signal, caller });
      // A stream that was cut off must end with an error, or the client takes it for complete.
      if (held.signal.aborted) throw held.signal.reason;
      return result;
    } catch (error) {
      throw held.signal.aborted ? held.signal.reason : error;
    } finally {
      held.release();
      leave();
    }
  };
}

/** gRPC's `10.0.0.1:4711` without the port; empty on a Unix socket. */
const addressOf = (peer: string | undefined): string => /^(.+):\d+$/.exec(peer ?? "")?.[1] ?? "";
