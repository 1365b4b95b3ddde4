/** The oldest Node that has what we use: `node:sqlite`, type stripping, AsyncDisposableStack. */
const oldest = 24;

/**
 * Throws where this program runs on a Node that is too old, as it does where the project's own Node was not installed
 * and the machine's takes its place without a word.
 */
export function guardNodeVersion(version: string = process.versions.node): void {
  if (Number.parseInt(version, 10) >= oldest) return;
  throw new Error(`Berth needs Node ${oldest} or newer and runs on ${version}; run npm ci, then ./berth or npm test`);
}
