import { AppError } from "@berth/core";
import { access } from "@berth/contracts";
import type { Access } from "@berth/contracts";
import { isOpenMethod } from "@berth/runtime";
import type { SessionCaller } from "../domain/caller.ts";
import type { Sessions } from "./sessions.ts";

const nobody: SessionCaller = { user: "", admin: false, keyId: "" };
const rules: Readonly<Record<string, Access>> = access;

/**
 * Who calls the method of that path with that `authorization` header, and whether they may; of a method that anyone may call: nobody. Throws `unauthenticated`
 * NO_CREDENTIALS or what `Sessions` throws, or `denied` ADMINS_ONLY, also for a method that is not in the table.
 */
export type Authorize = (method: string, authorization: string | undefined) => Promise<SessionCaller>;

export function makeAuthorize(sessions: Sessions): Authorize {
  return async (method, authorization) => {
    if (isForAnyone(method)) return nobody;
    const caller = await sessions.callerOf(bearer(authorization));
    const rule = rules[method];
    if (rule === undefined || (rule === "admin" && !caller.admin))
      throw new AppError("denied", "ADMINS_ONLY", "this call is for admins", { metadata: { user: caller.user } });
    return caller;
  };
}

export const isForAnyone = (method: string): boolean => isOpenMethod(method) || rules[method] === "anyone";

/** How often a stream asks again whether its caller's credential still holds. */
const recheckMs = 2_000;

/** Calls `again` for as long as a stream lasts. Its signal is aborted, with the error, when the stream's caller may no longer; auth that is away says nothing of them. */
export function holdWhile(
  again: () => Promise<unknown>,
  everyMs = recheckMs,
): { readonly signal: AbortSignal; release(): void } {
  const ended = new AbortController();
  const timer = setInterval(() => {
    again().catch((error: unknown) => {
      if (AppError.from(error).code !== "unavailable") ended.abort(error);
    });
  }, everyMs).unref();
  return { signal: ended.signal, release: () => clearInterval(timer) };
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
