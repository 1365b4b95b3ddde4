import { AppError } from "@berth/core";

/** Counts open streams by user. */
export interface StreamLimit {
  /** Counts a stream; call the result once when it ends. Throws `quota` TOO_MANY_STREAMS. */
  enter(user: string): () => void;
}

export function streamLimit(most: number): StreamLimit {
  const open = new Map<string, number>();
  return {
    enter(user) {
      const count = open.get(user) ?? 0;
      if (count >= most) {
        throw new AppError("quota", "TOO_MANY_STREAMS", `${user} has ${most} streams open already; close one first`, {
          metadata: { user, limit: String(most) },
        });
      }
      open.set(user, count + 1);
      return () => {
        const left = open.get(user)! - 1;
        if (left === 0) open.delete(user);
        else open.set(user, left);
      };
    },
  };
}
