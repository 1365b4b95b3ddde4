export {
  createAuthority,
  createRequest,
  createRequestFor,
  fingerprintOf,
  lifetimes,
  openAuthority,
  requestKeyHash,
} from "./authority.ts";
export type { CertificateAuthority, IssuedCertificate, StoredAuthority } from "./authority.ts";
export { busCredentials, isBusKey, newBusKey, newBusKeys, openBusAccounts } from "./bus-accounts.ts";
export type { BusAccounts, BusUser, StoredBusKeys } from "./bus-accounts.ts";
