import { AppError } from "@berth/core";

/** Runs at most `most` jobs at the same time. Up to `mayWait` more are queued; further ones fail with `unavailable` TOO_MANY_LOGINS. */
export function atOnce(most: number, mayWait: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= most) {
      if (waiting.length >= mayWait)
        throw new AppError("unavailable", "TOO_MANY_LOGINS", "too many logins at once; try again in a moment");
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift(); // hands its place on, so the count stays
      if (next) next();
      else running--;
    }
  };
}
