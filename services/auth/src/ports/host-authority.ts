/** The credentials issued to a host. */
export interface IssuedIdentity {
  readonly certificatePem: string;
  readonly busJwt: string;
  readonly expiresAt: Date;
}

/** Signs the identities of hosts. */
export interface HostAuthority {
  readonly certificatePem: string;
  /** Fingerprint by which a joining machine verifies the cluster. */
  readonly fingerprint: string;
  /** SHA-256 of the key of a request that the key itself has signed. Throws `invalid` BAD_CSR. */
  keyHashOf(csrPem: string): Promise<string>;
  isBusKey(busKey: string): boolean;
  issue(host: string, csrPem: string, busKey: string, now: Date): Promise<IssuedIdentity>;
}
