import type { Host } from "@berth/contracts/types";
import { readHost } from "../../decisions/record/host-record.ts";
import type { HostRecord } from "../../decisions/record/host-record.ts";
import type { HostDoc } from "./collections.ts";
import { bytes } from "./spec-doc.ts";

const decoded = new WeakMap<HostDoc, { readonly host: Host | undefined }>();

/** What its agent said last, decoded once a document; undefined where that is damaged. */
export function hostOf(doc: HostDoc): Host | undefined {
  let known = decoded.get(doc);
  if (!known) decoded.set(doc, (known = { host: readHost(doc.said) }));
  return known.host;
}

/** Whether its values can be used. A damaged one is left out: its agent says it again within seconds. */
export const isReadable = (doc: HostDoc): boolean =>
  Number.isSafeInteger(doc.revision) && Number.isSafeInteger(doc.seen_at) && hostOf(doc) !== undefined;

/** The agent that spoke for a host last; undefined where no such host is known. */
export const agentOf = (doc: HostDoc | undefined): string | undefined => doc && (hostOf(doc)?.agentId ?? "");

export function recordOf(doc: HostDoc): HostRecord;
export function recordOf(doc: HostDoc | undefined): HostRecord | undefined;
export function recordOf(doc: HostDoc | undefined): HostRecord | undefined {
  return doc && { said: bytes(doc.said), silent: doc.silent, lostBy: doc.lost_by, seenAt: doc.seen_at };
}
