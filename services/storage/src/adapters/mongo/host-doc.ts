import type { Host } from "@berth/contracts/types";
import { readHost } from "../form/host-form.ts";
import type { HostDoc } from "./collections.ts";

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
