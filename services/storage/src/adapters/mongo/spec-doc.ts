import type { Document } from "mongodb";
import type { SpecColumns } from "../../decisions/record/columns.ts";
import { checkSpec } from "../../decisions/record/damage.ts";

export interface SpecDoc extends SpecColumns {
  readonly _id: number;
  /** Its client key's `_id`, where it has one: so that it can go with it. */
  readonly client_key?: string;
  /** Missing where it was not asked for. */
  readonly run_spec?: Uint8Array;
}

export const specProjection = { run_spec: 0 } as const;

/** Bytes as the driver gives them: a Buffer, or its own Binary around one. */
export const bytes = (value: unknown): Buffer => {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const { buffer, position } = value as { readonly buffer: Uint8Array; readonly position: number };
  return Buffer.from(buffer.buffer, buffer.byteOffset, position);
};

/** Throws RECORD_UNREADABLE where it is damaged. */
export function toSpec(doc: Document): SpecDoc {
  const { head, deps, run_spec: runSpec } = doc;
  checkSpec(doc as SpecDoc);
  return {
    ...(doc as SpecDoc),
    head: bytes(head),
    deps: deps === null ? null : bytes(deps),
    ...(runSpec === undefined ? {} : { run_spec: bytes(runSpec) }),
  };
}
