import { AppError } from "@berth/core";
import { access } from "@berth/contracts";
import type { Access } from "@berth/contracts";
import type { ServerMiddleware } from "@berth/runtime";
import type { Sessions } from "../../app/sessions.ts";
import type { StreamLimit } from "../../app/stream-limit.ts";
import type { Caller } from "../../domain/caller.ts";

/** What every handler finds in its call context. Of a method that anyone may call: nobody. */
export interface CallerContext {
  readonly caller: Caller;
}

const nobody: Caller = { user: "", admin: false };
const rules: Readonly<Record<string, Access>> = access;

/** Health and reflection tell nothing of anybody. */
const open = /^\/grpc\.(health|reflection)\./;

/** Who calls, whether they may, and whether they have streams left. A method that is not in the table is refused. */
export function accessMiddleware(sessions: Sessions, streams: StreamLimit): ServerMiddleware<CallerContext> {
  return async function* (call, context) {
    const rule = rules[call.method.path];
    if (open.test(call.method.path) || rule === "anyone")
      return yield* call.next(call.request, { ...context, caller: nobody });
    const caller = await sessions.callerOf(bearer(context.metadata.get("authorization")));
    if (rule === undefined || (rule === "admin" && !caller.admin)) {
      throw new AppError("denied", "ADMINS_ONLY", "this call is for admins", { metadata: { user: caller.user } });
    }
    const leave = call.responseStream || call.requestStream ? streams.enter(caller.user) : undefined;
    try {
      return yield* call.next(call.request, { ...context, caller });
    } finally {
      leave?.();
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
