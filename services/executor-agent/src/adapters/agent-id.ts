import { createHash } from "node:crypto";
import { statSync } from "node:fs";

/**
 * Distinguishes agents of one host name, by boot id and lock file. A cloned machine has another boot id, and a copied data directory another lock file. Only one agent
 * at a time holds a lock file, so a restarted agent keeps its id and the watchers accept it at once.
 */
export function agentIdOf(bootId: string, lockPath: string): string {
  const { dev, ino } = statSync(lockPath, { bigint: true });
  return createHash("sha256").update(`${bootId} ${dev} ${ino}`).digest("hex").slice(0, 32);
}
