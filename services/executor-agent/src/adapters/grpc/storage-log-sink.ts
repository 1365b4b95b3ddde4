import { FileStoreServiceService, LogStream } from "@berth/contracts/store";
import type { LogSink } from "@berth/plugins";
import { grpcChannel, grpcClient } from "@berth/runtime";
import type { Closing, Trust } from "@berth/runtime";

const maxPiece = 1024 * 1024;

/** Output sent to the storage's file store. An append is safe to repeat: at another offset it appends nothing. */
export function storageLogSink(address: string, trust: Trust, closing: Closing): LogSink {
  const channel = grpcChannel(address, { closing, ...trust.to("storage") });
  const files = grpcClient(FileStoreServiceService, channel, {
    service: "storage",
    authorization: trust.authorization,
    idempotent: true,
    deadlineMs: 30_000,
  });
  const streams = { stdout: LogStream.STDOUT, stderr: LogStream.STDERR };
  const append: LogSink["append"] = async (run, stream, offset, bytes) => {
    let stored = offset;
    for (let at = 0; at < bytes.length || at === 0; at += maxPiece) {
      const content = Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(maxPiece, bytes.length - at));
      const { sizeBytes } = await files.appendLog({
        run: { ...run },
        stream: streams[stream],
        offset: offset + at,
        content,
      });
      stored = sizeBytes;
      if (sizeBytes !== offset + at + content.length || bytes.length === 0) return sizeBytes;
    }
    return stored;
  };
  return { append, size: (run, stream) => append(run, stream, 0, new Uint8Array()) };
}
