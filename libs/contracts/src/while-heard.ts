import { AppError } from "@berth/core";

export interface WhileHeardOptions {
  readonly signal?: AbortSignal | undefined;
  /** Longer than the time between two words of a stream that is well. */
  readonly silenceMs: number;
  /** Who is heard, in the words of an error message. */
  readonly service: string;
}

/**
 * Reads a stream to its end, or throws `unavailable` STREAM_SILENT where nothing comes for too long: then it is dead, whatever the connection says. The time that
 * the reader takes for a part does not count. Aborted, it throws the signal's reason.
 */
export async function* whileHeard<T>(
  open: (stop: AbortSignal) => AsyncIterable<T>,
  { signal, silenceMs, service }: WhileHeardOptions,
): AsyncGenerator<T> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const onSilence = (): void =>
    stop.abort(new AppError("unavailable", "STREAM_SILENT", `${service} said nothing for ${silenceMs} ms`));
  let timer = setTimeout(onSilence, silenceMs);
  try {
    for await (const part of open(stop.signal)) {
      clearTimeout(timer);
      yield part;
      timer = setTimeout(onSilence, silenceMs);
    }
  } catch (thrown) {
    stop.signal.throwIfAborted();
    throw thrown;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
