import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";

/** A stream that its client does not read for this long is closed. */
export const slowReaderMs = 60_000;

/**
 * Closes a stream whose client does not read it. The client sees `unavailable` and reopens the stream where it was; no status is sent, because it would queue
 * behind the unread messages. Call the returned function with each message: grpc-js writes one only when the previous one has left.
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
