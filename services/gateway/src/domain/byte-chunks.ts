/** Splits a list into parts of at most `maxItems` and `maxBytes`. An item larger than `maxBytes` gets its own part. */
export function byteChunks<T>(
  items: readonly T[],
  sizeOf: (item: T) => number,
  limits: { readonly maxItems: number; readonly maxBytes: number },
): T[][] {
  const chunks: T[][] = [];
  let chunk: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (chunk.length > 0 && (chunk.length >= limits.maxItems || bytes + size > limits.maxBytes)) {
      chunks.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(item);
    bytes += size;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}
