import { once } from "node:events";
import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { AppError } from "@berth/core";
import { Echo } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { unknownMessageBytes } from "./grpc-admission.ts";
import { ReceiveBudget } from "./receive-budget.ts";

/** A gRPC message's header for that many bytes. */
function header(bytes: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes, 1);
  return head;
}

/** Sends the headers of a call, and lets its message wait. */
function begin(
  session: ClientHttp2Session,
  authorization: string | undefined,
  path = "/test.v1.Echo/Say",
): ClientHttp2Stream {
  const stream = session.request(
    {
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(authorization === undefined ? {} : { authorization }),
    },
    { endStream: false },
  );
  stream.on("error", () => {});
  stream.resume();
  return stream;
}

async function statusOf(stream: ClientHttp2Stream): Promise<{ status: number; message: string }> {
  const headers = await Promise.race([
    once(stream, "trailers").then(([given]) => given as Record<string, string>),
    once(stream, "response").then(async ([given]) => {
      const fields = given as Record<string, string>;
      return "grpc-status" in fields ? fields : ((await once(stream, "trailers"))[0] as Record<string, string>);
    }),
  ]);
  return { status: Number(headers["grpc-status"]), message: decodeURIComponent(headers["grpc-message"] ?? "") };
}

describe("messages of callers", () => {
  let echo: Echo;
  let session: ClientHttp2Session;
  let authorization = "";

  async function serve(messageMs = 10_000): Promise<void> {
    const { address } = await echo.serve({ limits: { messageMs, boundsCallers: true } });
    session = connect(`http://${address}`);
    authorization = `Berth ${echo.secret}`;
  }
  beforeEach(() => void (echo = new Echo()));
  afterEach(async () => {
    session.destroy();
    await echo[Symbol.asyncDispose]();
  });

  it("refuses nobody's call by its headers, though its message has not come", async () => {
    await serve();
    const streams = Array.from({ length: 120 }, () => begin(session, undefined));
    const statuses = await Promise.all(streams.map(statusOf));
    expect(new Set(statuses.map(({ status }) => status))).toEqual(new Set([16]));
  });

  it("ends what a refused caller goes on sending", async () => {
    await serve();
    const stream = begin(session, undefined);
    await statusOf(stream);
    const closed = once(stream, "close");
    stream.write(header(16 * 1024 * 1024));
    stream.write(Buffer.alloc(1024 * 1024));
    await closed;
  });

  it("refuses a message by its header where it is larger than its sender may send", async () => {
    await serve();
    for (const bytes of [16 * 1024 * 1024 + 1, 0xffff_ffff]) {
      const stream = begin(session, authorization);
      stream.write(header(bytes));
      expect(await statusOf(stream)).toMatchObject({
        status: 3,
        message: expect.stringContaining("request: must have"),
      });
    }
  });

  it("refuses a message of its user that does not become whole, or never begins", async () => {
    await serve(50);
    const half = begin(session, authorization);
    half.write(Buffer.concat([header(100), Buffer.alloc(99)]));
    const none = begin(session, authorization);
    for (const status of await Promise.all([half, none].map(statusOf)))
      expect(status).toMatchObject({ status: 14, message: expect.stringContaining("in time") });
    expect(echo.seen.length).toBe(0);
  });

  it("takes a message that comes byte by byte, as long as it is in time", async () => {
    await serve();
    const stream = begin(session, authorization);
    for (const byte of Buffer.concat([header(5), Buffer.from("hello")])) stream.write(Buffer.of(byte));
    stream.end();
    expect(await statusOf(stream)).toMatchObject({ status: 0 });
  });

  it("bounds what one caller sends at a time, and leaves room for the others", async () => {
    await serve();
    const streams = Array.from({ length: 9 }, () => begin(session, authorization));
    for (const stream of streams) stream.write(header(16 * 1024 * 1024));
    const refused = await Promise.race(streams.map(statusOf));
    expect(refused).toMatchObject({ status: 8, message: expect.stringContaining("too much at once") });
  });
});

describe("an address", () => {
  it("holds so many bytes of all its users together, and leaves room for other addresses", async () => {
    await using echo = new Echo();
    const { address } = await echo.serve({
      limits: { boundsCallers: true },
      admit: (_, authorization) => ({ user: authorization }),
    });
    const session = connect(`http://${address}`);
    const elsewhere = connect(`http://${address}`, { localAddress: "127.0.0.2" } as object);
    /** Of 16 MiB, of which only the header comes; 8 of them are all that a user may send at a time. */
    const large = (user: string, on = session): ClientHttp2Stream => {
      const stream = begin(on, user);
      stream.write(header(16 * 1024 * 1024));
      return stream;
    };
    const held = ["ann", "bob"].flatMap((user) => Array.from({ length: 8 }, () => large(user)));
    const tooMuch = large("cid");
    expect(await statusOf(tooMuch)).toMatchObject({
      status: 8,
      message: expect.stringContaining("127.0.0.1 is sending"),
    });
    const other = begin(elsewhere, "cid");
    other.end(Buffer.concat([header(2), Buffer.from("hi")]));
    expect(await statusOf(other)).toMatchObject({ status: 0 });
    const [first] = held;
    first!.close();
    await once(first!, "close");
    const next = begin(session, "cid");
    next.end(Buffer.concat([header(2), Buffer.from("hi")]));
    expect(await statusOf(next)).toMatchObject({ status: 0 });
    for (const each of [session, elsewhere]) each.destroy();
  });
});

describe("a stream", () => {
  it("is closed where its client leaves it unread, and its handler ends", async () => {
    await using echo = new Echo();
    const { address } = await echo.serve({ limits: { slowReaderMs: 400 } });
    const session = connect(`http://${address}`);
    const unread = begin(session, `Berth ${echo.secret}`, "/test.v1.Echo/Count");
    unread.pause();
    unread.end(Buffer.concat([header(8), Buffer.from("10000000")]));
    await new Promise((resolve) => unread.once("close", resolve));
    expect(unread.rstCode).toBe(constants.NGHTTP2_REFUSED_STREAM);
    const read = begin(session, `Berth ${echo.secret}`, "/test.v1.Echo/Count");
    read.end(Buffer.concat([header(5), Buffer.from("20000")]));
    expect(await statusOf(read)).toMatchObject({ status: 0 });
    session.destroy();
  });
});

describe("a call whose access is still looked at", () => {
  it("reaches no handler, though its whole message is here", async () => {
    await using echo = new Echo();
    const decision = Promise.withResolvers<{ user: string }>();
    const asked = Promise.withResolvers<void>();
    const { address } = await echo.serve({ admit: () => (asked.resolve(), decision.promise) });
    const session = connect(`http://${address}`);
    const call = begin(session, undefined);
    const status = statusOf(call);
    call.end(Buffer.concat([header(5), Buffer.from("hello")]));
    await asked.promise;
    // Answers to later frames prove that the message has arrived.
    for (let n = 0; n < 3; n++) await new Promise((resolve) => session.ping(resolve));
    expect(echo.seen.length).toBe(0);
    decision.reject(AppError.received("unauthenticated", "NO", "no"));
    expect(await status).toMatchObject({ status: 16 });
    expect(echo.seen.length).toBe(0);
    session.destroy();
  });
});

describe("an anonymous call", () => {
  it("may be as large as a log-in", async () => {
    await using echo = new Echo();
    const { address } = await echo.serve({ admit: () => undefined });
    const session = connect(`http://${address}`);
    const [fits, large] = [begin(session, undefined), begin(session, undefined)];
    large.write(header(unknownMessageBytes + 1));
    expect(await statusOf(large)).toMatchObject({ status: 3 });
    fits.end(Buffer.concat([header(2), Buffer.from("hi")]));
    expect(await statusOf(fits)).toMatchObject({ status: 0 });
    session.destroy();
  });
});

describe("ReceiveBudget", () => {
  const limits = { bytesPerCaller: 10, bytes: 15, callsPerCaller: 2, calls: 3 };

  it("counts bytes and calls of each caller and of all, and gives them back", () => {
    const budget = new ReceiveBudget(limits);
    const [ann, bob] = [budget.open("ann"), budget.open("bob")];
    ann.reserve(8);
    ann.reserve(9); // the next message of a stream takes the place of the last one
    const second = budget.open("ann");
    expect(() => second.reserve(2)).toThrow("ann is sending too much");
    expect(() => budget.open("ann")).toThrow("ann has too many calls");
    bob.reserve(6);
    expect(() => budget.open("cid")).toThrow("too many calls");
    second.release();
    second.release();
    const cid = budget.open("cid");
    expect(() => cid.reserve(1)).toThrow("cid is sending too much");
    ann.release();
    cid.reserve(9);
  });
});
