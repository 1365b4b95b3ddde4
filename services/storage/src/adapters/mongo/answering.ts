import { toAppError } from "./errors.ts";
import type { MongoTaskStore } from "./mongo-task-store.ts";

/** What the driver throws is told as `unavailable`, whichever method it came through. */
export function answering(store: MongoTaskStore): MongoTaskStore {
  const told: Record<string, unknown> = { ...store };
  for (const [name, method] of Object.entries(store)) {
    if (typeof method !== "function" || name === "lastRevision" || name === "nextCommit") continue;
    const call = method as (...args: unknown[]) => Promise<unknown> | AsyncIterable<unknown>;
    told[name] = (...args: unknown[]) => {
      const result = call(...args);
      return result instanceof Promise ? result.catch(rethrow) : Symbol.asyncIterator in result ? rows(result) : result;
    };
  }
  return told as unknown as MongoTaskStore;
}

function rethrow(error: unknown): never {
  throw toAppError(error);
}

async function* rows(parts: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* parts;
  } catch (error) {
    rethrow(error);
  }
}
