import { ClientError, Status } from "nice-grpc-common";

/** Calls again while the cluster does not answer; anything else it says is thrown. For reads, and for submits with a request id. */
export async function retryWhileAway<T>(call: () => Promise<T>, withinMs = 60_000): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const passing =
        error instanceof ClientError &&
        [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.CANCELLED].includes(error.code);
      if (!passing || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
