const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A name as clients get it: as text, or as text to look at and the bytes where it is no UTF-8. */
export function shownName(bytes: Buffer): { readonly name: string; readonly nameBytes?: Buffer } {
  try {
    return { name: strict.decode(bytes) };
  } catch {
    const name = bytes.toString("latin1").replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, escaped);
    return { name, nameBytes: bytes };
  }
}

const escaped = (letter: string): string => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`;
