import {
  AssignReply,
  AssignRequest,
  ReportReply,
  ReportRequest,
  SyncReply,
  SyncRequest,
  WakeReply,
  WakeRequest,
} from "./agent.ts";

/** Turns a message into bytes and back. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** One kind of message on the bus, with its answer. */
export interface Subject<Request, Reply> {
  /** Full name of the request message, sent in the header `berth-type`. */
  readonly type: string;
  /** The subject for one host. */
  readonly of: (hostId: string) => string;
  /** Wildcard subject of all hosts, for the service that answers them. */
  readonly all: string;
  readonly request: Codec<Request>;
  readonly reply: Codec<Reply>;
}

/** Refuses an id that would change the shape of a subject. */
export function token(id: string): string {
  if (!isToken(id)) throw new Error(`not a subject token: ${JSON.stringify(id)}`);
  return id;
}

export const isToken = (id: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(id);

const subject = <Q, R>(type: string, request: Codec<Q>, reply: Codec<R>, verb: string): Subject<Q, R> => ({
  type: `berth.agent.v1.${type}`,
  of: (hostId) => `berth.v1.host.${token(hostId)}.${verb}`,
  all: `berth.v1.host.*.${verb}`,
  request,
  reply,
});

/** Everything on the bus, one line each. No subject is written anywhere else. */
export const subjects = {
  /** To one agent: new runs; answered when they are in its journal. */
  assign: subject("AssignRequest", AssignRequest, AssignReply, "assign"),
  /** To one agent, no answer: sync now. */
  wake: subject("WakeRequest", WakeRequest, WakeReply, "wake"),
  /** From one agent: what it has; answered with the whole list and verdicts. */
  sync: subject("SyncRequest", SyncRequest, SyncReply, "sync"),
  /** From one agent: what happened; answered after the commit. */
  report: subject("ReportRequest", ReportRequest, ReportReply, "report"),
};
