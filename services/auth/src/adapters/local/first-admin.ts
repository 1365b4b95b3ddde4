import { readFileSync } from "node:fs";
import { AppError } from "@berth/core";
import type { Logger } from "@berth/runtime";
import { z } from "zod";
import { checkNewUser } from "../../domain/new-user.ts";
import type { Accounts } from "../../ports/accounts.ts";

const file = z.object({
  name: z.string(),
  uid: z.number().int().min(1),
  keyId: z.string().regex(/^[a-z0-9]{12}$/),
  /** SHA-256 of the key's secret, so this file does not let its reader log in. */
  keyHash: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * Adds the admin and the API key that `berth init` prepared, if there is no admin. Safe to repeat, also after a death between the two writes, because a key without its
 * user gives no access. Throws `invalid` CONFIG_INVALID if the file is malformed.
 */
export async function addFirstAdmin(path: string, accounts: Accounts, logger: Logger, now: Date): Promise<void> {
  if ((await accounts.admins()).length > 0) return;
  let first: z.output<typeof file>;
  try {
    first = file.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new AppError("invalid", "CONFIG_INVALID", `BERTH_FIRST_ADMIN: ${path} is no first admin of berth init`, {
      cause,
    });
  }
  const { name, uid, keyId, keyHash } = first;
  checkNewUser({ name, uid, gid: uid, groups: [], role: "admin", home: "", email: "" });
  const key = { id: keyId, user: name, name: "berth init", secretHash: Buffer.from(keyHash, "hex"), createdAt: now };
  try {
    if (!(await accounts.key(keyId))) await accounts.addKey({ ...key, expiresAt: undefined });
    const user = { name, groups: [], role: "admin" as const, home: "", email: "", disabled: false, createdAt: now };
    await accounts.addUser(user, () => ({ uid, gid: uid }), "");
  } catch (error) {
    // Another copy of auth has just added the admin.
    if ((await accounts.admins()).length > 0) return;
    throw error;
  }
  logger.warn("audit: the first admin is made, as berth init chose", { user: name });
}
