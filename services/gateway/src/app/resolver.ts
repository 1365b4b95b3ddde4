import { fromFailure } from "@berth/contracts";
import { AppError, badAnswer } from "@berth/core";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { Identity, Mount, TaskSpec } from "@berth/contracts/types";
import { Cache } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";

/** The identity and mounts of a task. */
export interface Resolved {
  readonly identity: Identity;
  readonly mounts: readonly Mount[];
}

export interface Resolver {
  /** One result per spec, in order; an error says why that spec may not run. Throws auth's own errors, such as `not-found` USER_NOT_FOUND. */
  resolve(user: string, specs: readonly TaskSpec[]): Promise<(Resolved | AppError)[]>;
}

/** Asks auth once per distinct question, and caches the answer for `ttlMs`: changes of a user or volume take effect after that. */
export function cachingResolver(
  auth: Pick<GrpcClient<AuthServiceService>, "resolveSubmits">,
  options: { readonly ttlMs: number; readonly now: () => number },
): Resolver {
  const cache = new Cache<Resolved>({ ...options, maxEntries: 10_000 });

  function ask(user: string, missing: ReadonlyMap<string, TaskSpec>): [string, Promise<Resolved>][] {
    const submits = [...missing.values()].map(({ project, image, volumes }) => ({ project, image, volumes }));
    const answer = auth.resolveSubmits({ user, submits });
    return [...missing.keys()].map((key, at) => {
      const one = answer.then(({ identity, results }) => {
        const result = results[at];
        if (!identity || !result) throw badAnswer("auth", "a result");
        if (result.failure) throw fromFailure(result.failure);
        return { identity, mounts: result.mounts };
      });
      return [key, cache.set(key, one)];
    });
  }

  return {
    async resolve(user, specs) {
      const keys = specs.map(({ project, image, volumes }) => JSON.stringify([user, project, image, volumes]));
      // Read the cache once for each key: an entry may expire between two reads.
      const found = new Map<string, Promise<Resolved>>();
      const missing = new Map<string, TaskSpec>();
      keys.forEach((key, at) => {
        if (found.has(key) || missing.has(key)) return;
        const known = cache.get(key);
        if (known) found.set(key, known);
        else missing.set(key, specs[at]!);
      });
      if (missing.size > 0) for (const [key, one] of ask(user, missing)) found.set(key, one);
      const settled = await Promise.all([...found].map(async ([key, one]) => [key, await one.catch(itsOwn)] as const));
      const results = new Map(settled);
      return keys.map((key) => results.get(key)!);
    },
  };
}

/** A refusal is the result of its item. If auth itself did not answer, the whole call fails. */
function itsOwn(error: unknown): AppError {
  const own = AppError.from(error);
  if (own.code === "unavailable" || own.code === "internal" || own.reason === "USER_NOT_FOUND") throw own;
  return own;
}
