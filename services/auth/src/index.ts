export type { Accounts, StoredKey } from "./ports/accounts.ts";
export { migrations, sqliteAccounts } from "./adapters/sqlite/accounts.ts";
export { openMongoAccounts, type MongoAccounts } from "./adapters/mongo/accounts.ts";
export { apiKeys } from "./adapters/local/api-keys.ts";
export { createUser } from "./adapters/local/create-user.ts";
export { localProvider } from "./adapters/local/local-provider.ts";
export { argonPasswords } from "./adapters/local/passwords.ts";
export { openLdap } from "./adapters/ldap/open-ldap.ts";
