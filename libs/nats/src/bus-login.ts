import { readFileSync } from "node:fs";
import { credsAuthenticator } from "@nats-io/transport-node";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import { inboxPrefixOf, serviceDnsName } from "@berth/contracts";
import type { Identity } from "@berth/contracts";
import { authorityFile, busCredentialsFile, identityFile } from "@berth/runtime";

/** Who one is on the bus: an account with a password, on one machine; or an identity of one's own. */
export interface BusLogin {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Directory with `identity.pem`, `ca.pem` and `bus.creds`, which are read again at each connection. Stronger than the account. */
  readonly identityDir?: string | undefined;
  /** Where answers come back; for one who may touch a single prefix only. */
  readonly inboxPrefix?: string | undefined;
}

/** What the settings of a service or an agent say of it. */
export const busLogin = (
  config: {
    readonly natsUser?: string | undefined;
    readonly natsPassword?: string | undefined;
    readonly natsInbox?: string | undefined;
    readonly identityDir?: string | undefined;
  },
  identity: Identity | undefined,
): BusLogin =>
  identity
    ? { identityDir: config.identityDir, inboxPrefix: inboxPrefixOf(identity) }
    : { user: config.natsUser, password: config.natsPassword, inboxPrefix: config.natsInbox };

/** In the words of the library. */
export function loginOptions({ user, password, identityDir, inboxPrefix }: BusLogin): NodeConnectionOptions {
  const inbox = inboxPrefix ? { inboxPrefix } : {};
  if (identityDir === undefined)
    return { ...inbox, ...(user ? { user } : {}), ...(password ? { pass: password } : {}) };
  const file = identityFile(identityDir);
  const tls = {
    certFile: file,
    keyFile: file,
    caFile: authorityFile(identityDir),
    // The library hands what it does not know to node:tls. Addresses may be numbers: the name is verified.
    servername: serviceDnsName("nats"),
  };
  return {
    ...inbox,
    tls,
    authenticator: (nonce) => {
      let credentials: Buffer;
      try {
        credentials = readFileSync(busCredentialsFile(identityDir));
      } catch {
        return undefined; // gone: the server refuses, and the next attempt reads again
      }
      return credsAuthenticator(credentials)(nonce);
    },
  };
}
