import { readFileSync } from "node:fs";
import { credsAuthenticator } from "@nats-io/transport-node";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import { inboxPrefixOf, serviceDnsName } from "@berth/contracts";
import type { Identity } from "@berth/contracts";
import { authorityFile, busCredentialsFile, identityFile } from "@berth/runtime";

/** How a process logs in to NATS: with an account's password on one machine, or with the credentials of its own identity. */
export interface BusLogin {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Directory with `identity.pem`, `ca.pem` and `bus.creds`, which are read again at each connection. Stronger than the account. */
  readonly identityDir?: string | undefined;
  /** Where answers come back; for one who may touch a single prefix only. */
  readonly inboxPrefix?: string | undefined;
}

/** The settings of a service or agent that concern the login. */
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

/** The options that nats.js takes. */
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
