import { constants } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { Metadata } from "@grpc/grpc-js";
import type { ServerInterceptingCallInterface, ServerInterceptor } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import { detailsKey, encodeStatusDetails, statusOf } from "@berth/contracts";
import { maxMessageBytes } from "@berth/contracts/channel";
import { GatedCall } from "./gated-call.ts";
import { Deadlines } from "./deadlines.ts";
import { MessageGuard, messageMs } from "./message-guard.ts";
import { networkOf } from "./network-address.ts";
import { endWhenUnread, slowReaderMs } from "./slow-reader.ts";
import { tlsPeerOf } from "./tls-peer.ts";
import type { TlsPeer } from "./tls-peer.ts";
import { ReceiveBudget, addressLimits, knownLimits, noLimits, unknownLimits } from "./receive-budget.ts";

/** The admitted caller. Middleware gets it, with further fields of the server, as `AdmittedContext`. */
export interface Admitted {
  /** Key by which the caller's bytes and calls are counted. */
  readonly user: string;
}

/**
 * Checks a call's headers before any byte of its message is read. Returns the caller, or undefined if the method is open to everyone. Throws an AppError to refuse the
 * call.
 */
export type Admit<A extends Admitted = Admitted> = (
  path: string,
  authorization: string,
  /** The peer of the connection, by its certificate. */
  peerOf: () => TlsPeer | undefined,
) => Promise<A | undefined> | A | undefined;

/** Largest message of a caller without credentials: a login is smaller. */
export const unknownMessageBytes = 64 * 1024;
/** After a refusal the client has this long to read the status; then the stream is closed. */
const lingerMs = 1_000;

/** Metadata key of the caller's name. A value that the client sent is removed. */
export const callerKey = "berth-caller";

export interface AdmissionOptions {
  /** Whether users call this server. Then each caller is limited; services of one cluster trust each other. */
  readonly boundsCallers?: boolean;
  /** Whether the caller's name, as returned by `admit`, is added to the call's metadata as `callerKey`. */
  readonly namesCaller?: boolean;
  /** Most connections per address; unlimited if undefined. */
  readonly connectionsPerAddress?: number;
  /** For tests: how long a message may take to arrive. */
  readonly messageMs?: number;
  /** For tests: how long a stream may be left unread. */
  readonly slowReaderMs?: number;
}

/**
 * Asks `admit` before a call's message is read, and bounds what the caller makes this process hold: message size, time until a message is complete, open calls,
 * and bytes in transit, per caller and in total. Without it grpc-js buffers 16 MiB per stream for every caller, without a time limit.
 */
export function admission(admit: Admit, options: AdmissionOptions = {}): ServerInterceptor {
  const known = new ReceiveBudget(options.boundsCallers ? knownLimits : noLimits);
  const unknown = new ReceiveBudget(unknownLimits);
  const addresses = options.boundsCallers ? new ReceiveBudget(addressLimits) : undefined;
  const deadlines = new Deadlines(options.messageMs ?? messageMs);

  return ({ path, requestStream, responseStream }, call) => {
    const stream = streamOf(call);
    const peerOf = (): TlsPeer | undefined => tlsPeerOf(stream.session as ServerHttp2Session | undefined);
    const onFault = (error: AppError): void => refuse(call, stream, error);
    const onMessage = responseStream ? endWhenUnread(stream, options.slowReaderMs ?? slowReaderMs) : undefined;

    return new GatedCall(call, {
      wrapsMessages: !requestStream,
      onMessage,
      gate(metadata, open) {
        // The stream is not read before `open`, so what arrives is limited by the flow-control window of HTTP/2.
        const decide = (admitted: Admitted | undefined): void => {
          if (stream.destroyed) return;
          const budget = admitted
            ? known.open(admitted.user, addresses && (() => addresses.open(addressOf(stream))))
            : unknown.open(addressOf(stream));
          const mostBytes = admitted ? maxMessageBytes : unknownMessageBytes;
          new MessageGuard(stream, { budget, mostBytes, expected: !requestStream, deadlines, onFault });
          if (options.namesCaller) metadata.set(callerKey, admitted?.user ?? "");
          open(admitted);
        };
        try {
          const answer = admit(path, String(metadata.get("authorization")[0] ?? ""), peerOf);
          if (!(answer instanceof Promise)) return decide(answer);
          answer.then(decide).catch((error: unknown) => onFault(AppError.from(error)));
        } catch (error) {
          onFault(AppError.from(error));
        }
      },
    });
  };
}

const addressOf = (stream: ServerHttp2Stream): string =>
  networkOf(stream.session?.socket?.remoteAddress ?? "this machine");

function refuse(call: ServerInterceptingCallInterface, stream: ServerHttp2Stream, error: AppError): void {
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(encodeStatusDetails(error)));
  call.sendStatus({ code: statusOf(error.code), details: error.message, metadata });
  setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs).unref();
}

/**
 * The HTTP/2 stream under a call. grpc-js keeps it private and offers nothing else that sees a message before it is whole. Its version is pinned; another one
 * without that field would fail at the first call of any test.
 */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const { stream } = call as unknown as { readonly stream?: ServerHttp2Stream };
  if (!stream) throw new Error("this version of grpc-js has no stream under its calls");
  return stream;
}
