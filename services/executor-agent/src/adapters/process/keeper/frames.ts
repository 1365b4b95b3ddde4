import { protocolVersion } from "./protocol.ts";

const headerBytes = 5;
const maxFrameBytes = 64 * 1024 * 1024;

/** One message: length, version, JSON. */
export function frame(message: unknown): Buffer {
  const text = JSON.stringify(message);
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(headerBytes + length);
  bytes.writeUInt32BE(length, 0);
  bytes[4] = protocolVersion;
  bytes.write(text, headerBytes);
  return bytes;
}

/** Cuts a stream into messages. Use one reader per connection, because it keeps half a frame for the next bytes. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that these bytes complete. Throws if the bytes are not frames. */
  read(bytes: Buffer): unknown[] {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const messages: unknown[] = [];
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(0);
      if (length > maxFrameBytes) throw new Error(`a frame of ${length} bytes`);
      if (rest.length < headerBytes + length) break;
      messages.push(JSON.parse(rest.toString("utf8", headerBytes, headerBytes + length)));
      rest = rest.subarray(headerBytes + length);
    }
    this.#rest = rest;
    return messages;
  }
}
