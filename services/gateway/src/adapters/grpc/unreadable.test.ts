import { connect, constants } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { once } from "node:events";
import { SubmitTaskRequest, TaskServiceService } from "@berth/contracts/api";
import { Closing, bindService, serveGrpc, silentLogger } from "@berth/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

describe("a message that cannot be read", () => {
  const closing = new Closing();
  let session: ClientHttp2Session;
  beforeEach(async () => {
    const { address } = await serveGrpc({
      address: "127.0.0.1:0",
      admit: () => ({ user: "ann" }),
      services: [bindService({ submitTask: TaskServiceService.submitTask }, { submitTask: async () => ({}) } as never)],
      logger: silentLogger,
      closing,
    });
    session = connect(`http://${address}`);
  });
  afterEach(async () => {
    session.destroy();
    await closing.close();
  });

  async function submit(bytes: Uint8Array): Promise<{ status: string; message: string }> {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: TaskServiceService.submitTask.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.concat([head, bytes]));
    const [given] = (await once(stream, "response")) as [Record<string, string>];
    return { status: given["grpc-status"]!, message: decodeURIComponent(given["grpc-message"] ?? "") };
  }

  /** A varint of 2^60 + 1 in place of the field's value 127. */
  const huge = (message: Uint8Array): Buffer =>
    Buffer.from(Buffer.from(message).toString("hex").replace("087f", "088180808080808080 10".replace(" ", "")), "hex");

  it("is told with the field whose number is too large", async () => {
    const message = SubmitTaskRequest.encode(
      SubmitTaskRequest.fromJSON({ spec: { command: ["true"], array: { first: 127, last: 1, step: 1 } } }),
    ).finish();
    const bytes = lengthsFixed(huge(message), message.length);
    expect(await submit(bytes)).toEqual({
      status: "3",
      message: "spec.array.first: must be a whole number from -(2^53 - 1) to 2^53 - 1",
    });
  });

  it("is told with the field whose text is not UTF-8, which would be read as another text", async () => {
    const message = SubmitTaskRequest.encode(
      SubmitTaskRequest.fromJSON({ spec: { command: ["true"], files: [{ path: "a-b", content: "" }] } }),
    ).finish();
    for (const bad of [0xff, 0xed]) {
      const bytes = Buffer.from(message);
      bytes[bytes.indexOf("a-b") + 1] = bad;
      expect(await submit(bytes)).toEqual({ status: "3", message: "spec.files[0].path: must be text in UTF-8" });
    }
  });

  it("is told as none of its method where it is no message at all", async () => {
    expect(await submit(Buffer.from("0affffff", "hex"))).toEqual({
      status: "3",
      message: "request: must be a message of this method",
    });
  });
});

/** The lengths of the two messages around the number, which grew. */
function lengthsFixed(bytes: Buffer, was: number): Buffer {
  const grown = bytes.length - was;
  bytes[1]! += grown;
  const array = bytes.indexOf(Buffer.from("0881", "hex")) - 1;
  bytes[array]! += grown;
  return bytes;
}
