import { AppError } from "@berth/core";
import { fromFailure, toFailure } from "@berth/contracts";
import { headers } from "@nats-io/transport-node";
import type { Msg, MsgHdrs } from "@nats-io/transport-node";

/** Full name of the message. */
export const typeHeader = "berth-type";
/** An error as JSON, in place of a reply. */
const errorHeader = "berth-error";

export function typed(type: string): MsgHdrs {
  const header = headers();
  header.set(typeHeader, type);
  return header;
}

/** JSON escapes what would break a header: line ends and, here, all that is not ASCII. */
export function errorHeaders(error: AppError): MsgHdrs {
  const header = headers();
  const json = JSON.stringify(toFailure(error));
  header.set(
    errorHeader,
    json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
  return header;
}

/** The error that a reply carries, if it does. */
export function errorOf(reply: Msg): AppError | undefined {
  const json = reply.headers?.get(errorHeader);
  if (!json) return undefined;
  try {
    return fromFailure(JSON.parse(json));
  } catch (cause) {
    return new AppError("internal", "MESSAGE_UNREADABLE", "an error came that cannot be read", { cause });
  }
}
