export type { Accounts, StoredKey } from "./ports/accounts.ts";
export { migrations, sqliteAccounts } from "./adapters/sqlite/accounts.ts";
export { openMongoAccounts, type MongoAccounts } from "./adapters/mongo/accounts.ts";
