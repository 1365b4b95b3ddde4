import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "@berth/database";
import type { Closing } from "@berth/runtime";
import { tokenKeyIn } from "./adapters/disk/token-key.ts";
import { newTokenKey } from "./adapters/jwt/token-signer.ts";
import { migrations, sqliteAccounts } from "./adapters/sqlite/accounts.ts";
import { sqliteHostKeys } from "./adapters/sqlite/host-keys.ts";
import type { AuthConfig } from "./config.ts";
import type { Accounts } from "./ports/accounts.ts";
import type { HostKeys } from "./ports/host-keys.ts";

/** Opens the accounts and the key that signs tokens: in the MongoDB that `database` names, or in SQLite and a file in the data directory. */
export async function openAccounts(
  { database: url, dataDir }: AuthConfig,
  closing: Closing,
): Promise<{ readonly accounts: Accounts; readonly hostKeys: HostKeys; readonly tokenKey: string }> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (url !== undefined) {
    // Loaded only if it is used, because it slows a start on SQLite.
    const { openMongoAccounts } = await import("./adapters/mongo/accounts.ts");
    const opened = await openMongoAccounts(url);
    closing.add(() => opened.close());
    const { accounts, hostKeys } = opened;
    return { accounts, hostKeys, tokenKey: await opened.tokenKey(newTokenKey) };
  }
  const database = openSqlite(join(dataDir, "auth.db"), { migrations });
  closing.add(() => database.close());
  return {
    accounts: sqliteAccounts(database),
    hostKeys: sqliteHostKeys(database),
    tokenKey: tokenKeyIn(join(dataDir, "token-key.pem"), newTokenKey),
  };
}
