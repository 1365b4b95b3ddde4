import { AppError } from "@berth/core";

export interface WhileHeardOptions {
  readonly signal?: AbortSignal | undefined;
  /** Must be longer than the interval of the stream's keepalive messages. */
  readonly silenceMs: number;
  /** Name of the sender, for error messages. */
  readonly service: string;
}

/**
 * Reads a stream to its end. Throws `unavailable` STREAM_SILENT if nothing arrives for `silenceMs`, even on a connection that looks alive. The time that the
 * reader spends on an item does not count. Aborted, it throws the signal's reason.
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
