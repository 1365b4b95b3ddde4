import { AppError } from "@berth/core";
import { access } from "@berth/contracts";
import type { Access } from "@berth/contracts";
import { isOpenMethod } from "@berth/runtime";
import type { Admit, ServerMiddleware } from "@berth/runtime";
import type { Sessions } from "../../app/sessions.ts";
import type { StreamLimit } from "../../app/stream-limit.ts";
import type { SessionCaller } from "../../domain/caller.ts";

/** What every handler finds in its call context. Of a method that anyone may call: nobody. */
export interface CallerContext {
  readonly caller: SessionCaller;
}

const nobody: SessionCaller = { user: "", admin: false, keyId: "" };
const rules: Readonly<Record<string, Access>> = access;

/** How often a stream asks again whether its caller's credential still holds. */
const recheckMs = 2_000;

/** Who calls, and whether they may. A method that is not in the table is refused. */
async function callerOf(sessions: Sessions, path: string, authorization: string | undefined): Promise<SessionCaller> {
  const rule = rules[path];
  const caller = await sessions.callerOf(bearer(authorization));
  if (rule === undefined || (rule === "admin" && !caller.admin))
    throw new AppError("denied", "ADMINS_ONLY", "this call is for admins", { metadata: { user: caller.user } });
  return caller;
}

const isForAnyone = (path: string): boolean => isOpenMethod(path) || rules[path] === "anyone";

/** Looks at the credential before a message is read. */
export function admitCallers(sessions: Sessions): Admit {
  return (path, authorization) =>
    isForAnyone(path) ? undefined : callerOf(sessions, path, authorization).then(({ user }) => user);
}

/** Tells handlers who calls, and holds a stream for as long as its caller may: their streams are counted, and their credential is looked at again. */
export function accessMiddleware(
  sessions: Sessions,
  streams: StreamLimit,
  options: { readonly recheckMs?: number } = {},
): ServerMiddleware<CallerContext> {
  return async function* (call, context) {
    if (isForAnyone(call.method.path)) return yield* call.next(call.request, { ...context, caller: nobody });
    const authorization = context.metadata.get("authorization");
    const caller = await callerOf(sessions, call.method.path, authorization);
    if (!call.responseStream && !call.requestStream) return yield* call.next(call.request, { ...context, caller });
    const leave = streams.enter(caller.user);
    const ended = new AbortController();
    const timer = setInterval(() => {
      callerOf(sessions, call.method.path, authorization).catch((error: unknown) => {
        // Auth that is away says nothing about the credential.
        if (AppError.from(error).code !== "unavailable") ended.abort(error);
      });
    }, options.recheckMs ?? recheckMs).unref();
    try {
      const signal = AbortSignal.any([context.signal, ended.signal]);
      const result = yield* call.next(call.request, { ...context, signal, caller });
      // A stream that was cut off must not look complete.
      if (ended.signal.aborted) throw ended.signal.reason;
      return result;
    } catch (error) {
      throw ended.signal.aborted ? ended.signal.reason : error;
    } finally {
      clearInterval(timer);
      leave();
    }
  };
}

function bearer(header: string | undefined): string {
  const match = /^Bearer ([\x21-\x7e]{1,4096})$/.exec(header ?? "");
  if (!match)
    throw new AppError(
      "unauthenticated",
      "NO_CREDENTIALS",
      "this call needs an access token or API key as `authorization: Bearer …`",
    );
  return match[1]!;
}
