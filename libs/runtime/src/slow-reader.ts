import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";

/** A stream that its client leaves unread for so long is closed. */
export const slowReaderMs = 60_000;

/**
 * Closes a stream whose client does not take what is written for it, as `unavailable`: a client that reads again opens it where it was. A status could not reach
 * that client, because it would stand behind what is not read. What it returns is to be called with each message: grpc-js writes one only when the last one has left.
 */
export function endWhenUnread(stream: ServerHttp2Stream, mostMs: number): () => void {
  let progressMs = performance.now();
  const onProgress = (): void => void (progressMs = performance.now());
  const timer = setInterval(() => {
    if (stream.writableLength === 0) onProgress();
    else if (performance.now() - progressMs > mostMs) stream.close(constants.NGHTTP2_REFUSED_STREAM);
  }, mostMs / 4).unref();
  stream.once("close", () => clearInterval(timer));
  return onProgress;
}
