import { AppError } from "@berth/core";
import { access } from "@berth/contracts";
import type { Access } from "@berth/contracts";
import { isOpenMethod } from "@berth/runtime";
import type { SessionCaller } from "../domain/caller.ts";
import type { Sessions } from "./sessions.ts";

const nobody: SessionCaller = { user: "", admin: false, keyId: "" };
const rules: Readonly<Record<string, Access>> = access;

/**
 * Checks the `authorization` header of a call to the method at this path. Returns the caller; undefined for a method open to everyone. Throws, or rejects with,
 * `unauthenticated` NO_CREDENTIALS, errors of `Sessions`, or `denied` ADMINS_ONLY, also for a method that is not in the table.
 */
export type Authorize = (method: string, authorization: string | undefined) => Promise<SessionCaller> | SessionCaller;

export function makeAuthorize(sessions: Sessions): Authorize {
  function checked(method: string, caller: SessionCaller): SessionCaller {
    const rule = rules[method];
    if (rule === undefined || (rule === "admin" && !caller.admin))
      throw new AppError("denied", "ADMINS_ONLY", "this call is for admins", { metadata: { user: caller.user } });
    return caller;
  }

  return (method, authorization) => {
    if (isForAnyone(method)) return nobody;
    const credential = bearer(authorization);
    const known = sessions.knownCaller(credential);
    // Synchronous if auth need not be asked, because every call passes here.
    return known ? checked(method, known) : sessions.callerOf(credential).then((caller) => checked(method, caller));
  };
}

export const isForAnyone = (method: string): boolean => isOpenMethod(method) || rules[method] === "anyone";

/** How often a stream asks again whether its caller's credential still holds. */
const recheckMs = 2_000;

/**
 * Calls `again` repeatedly while a stream is open. If it rejects, the signal is aborted with that error. Errors that only mean auth is unavailable are ignored.
 */
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
