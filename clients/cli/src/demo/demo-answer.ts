/** Words as `wc -w` counts them in the C locale: runs of what is not white space. */
export function countWords(text: Buffer): number {
  let words = 0;
  let inside = false;
  for (const byte of text) {
    const space = byte === 32 || (byte >= 9 && byte <= 13);
    if (!space && !inside) words++;
    inside = !space;
  }
  return words;
}
