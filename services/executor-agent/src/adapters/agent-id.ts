import { createHash } from "node:crypto";
import { statSync } from "node:fs";

/**
 * Tells agents of one host name apart. A cloned machine boots anew, and a copied data directory has another lock file; of one lock file in one boot only one agent
 * runs at a time, because it holds the lock. So a restarted agent has the same id, and is known at once.
 */
export function agentIdOf(bootId: string, lockPath: string): string {
  const { dev, ino } = statSync(lockPath, { bigint: true });
  return createHash("sha256").update(`${bootId} ${dev} ${ino}`).digest("hex").slice(0, 32);
}
