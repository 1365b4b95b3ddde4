/** The oldest supported Node: it has `node:sqlite`, type stripping and AsyncDisposableStack. */
const oldest = 24;

/**
 * Throws if this Node is too old. That happens when the project's own Node is not installed, because npm then falls back to
 * the machine's without a warning.
 */
export function guardNodeVersion(version: string = process.versions.node): void {
  if (Number.parseInt(version, 10) >= oldest) return;
  throw new Error(`Berth needs Node ${oldest} or newer and runs on ${version}; run npm ci, then ./berth or npm test`);
}
