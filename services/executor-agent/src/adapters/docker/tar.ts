/** What a small tar holds; names relative, without a leading slash. */
export type TarEntry =
  | { readonly kind: "directory"; readonly name: string; readonly mode: number }
  | { readonly kind: "file"; readonly name: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: "link"; readonly name: string; readonly target: string };

const block = 512;
const types = { file: "0", link: "2", directory: "5" } as const;

/** A ustar archive, everything root's. Names and link targets up to 100 bytes. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const content = entry.kind === "file" ? entry.content : new Uint8Array();
    parts.push(header(entry, content.length), content, Buffer.alloc((block - (content.length % block)) % block));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function header(entry: TarEntry, size: number): Buffer {
  const bytes = Buffer.alloc(block);
  const put = (text: string, at: number): void => void bytes.write(text, at, "latin1");
  const octal = (value: number, at: number, width: number): void => put(value.toString(8).padStart(width - 1, "0"), at);
  if (Buffer.byteLength(entry.name) > 100) throw new Error(`too long for a small tar: ${entry.name}`);
  put(entry.name, 0);
  octal(entry.kind === "link" ? 0o777 : entry.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  put("        ", 148);
  put(types[entry.kind], 156);
  if (entry.kind === "link") put(entry.target, 157);
  put("ustar\u000000", 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\u0000 `, 148);
  return bytes;
}
