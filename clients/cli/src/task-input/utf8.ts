import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { usageError } from "../exit.ts";

/** Describes which of these bytes are not UTF-8; undefined if all are. */
export function notUtf8(bytes: Uint8Array): string | undefined {
  if (isUtf8(bytes)) return undefined;
  // Decoding puts U+FFFD in place of a wrong byte: there the bytes differ for the first time.
  const again = Buffer.from(Buffer.from(bytes).toString());
  const at = bytes.findIndex((byte, index) => byte !== again[index]);
  return `must be UTF-8; byte 0x${bytes[at]!.toString(16).toUpperCase()} at offset ${at}`;
}

/** The raw bytes of this process's arguments or environment, one item each; undefined where the system does not tell. */
export type RawItems = (of: "cmdline" | "environ") => readonly Buffer[] | undefined;

export const rawItems: RawItems = (of) => {
  try {
    const all = readFileSync(`/proc/self/${of}`);
    const items: Buffer[] = [];
    for (let start = 0, end = all.indexOf(0); end >= 0; start = end + 1, end = all.indexOf(0, start))
      items.push(all.subarray(start, end));
    return items;
  } catch {
    return undefined;
  }
};

const replacement = "\uFFFD";

/**
 * Refuses arguments that are not UTF-8. Node has replaced their wrong bytes by U+FFFD already, so only the system can tell them from arguments that the user typed
 * with U+FFFD. Throws `invalid`.
 */
export function checkArguments(args: readonly string[], raw: RawItems = rawItems): void {
  if (!args.some((word) => word.includes(replacement))) return;
  const items = raw("cmdline")?.slice(-args.length);
  items?.forEach((item, at) => {
    const rule = notUtf8(item);
    if (rule !== undefined)
      throw usageError(`argument ${at + 1} (${args[at]!.slice(0, 40)})`, `${rule}; a script file passes any byte`);
  });
}

/** Refuses a variable of our own environment that is not UTF-8, for the same reason. */
export function checkVariable(name: string, value: string, field: string, raw: RawItems = rawItems): void {
  if (!value.includes(replacement)) return;
  const prefix = Buffer.from(`${name}=`);
  const item = raw("environ")?.find((each) => each.subarray(0, prefix.length).equals(prefix));
  const rule = item && notUtf8(item.subarray(prefix.length));
  if (rule !== undefined) throw usageError(field, `${name} ${rule}`);
}
