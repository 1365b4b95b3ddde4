import { isToken } from "./subjects.ts";

/** What a process of a cluster is. Its certificate says so. */
export type ServiceRole = "storage" | "auth" | "scheduler" | "watcher" | "gateway" | "nats";

/** Who shows a certificate of this cluster: one of its services, or the agent of one host. */
export type Identity =
  | { readonly cluster: string; readonly role: ServiceRole }
  | { readonly cluster: string; readonly role: "agent"; readonly host: string };

export const serviceRoles: readonly ServiceRole[] = ["storage", "auth", "scheduler", "watcher", "gateway", "nats"];

/**
 * The name that clients verify in the certificate of a service, whatever address they dialled: addresses of a service may change, and may be numbers. An agent's
 * certificate has no such name, so an agent cannot pose as a service.
 */
export const serviceDnsName = (role: ServiceRole): string => `${role}.berth.internal`;

/** The URI of an identity, a subject alternative name of its certificate: `berth://lab/storage`, `berth://lab/agent/node_1`. */
export const identityUri = (identity: Identity): string =>
  identity.role === "agent"
    ? `berth://${identity.cluster}/agent/${identity.host}`
    : `berth://${identity.cluster}/${identity.role}`;

/** Prefix of the subjects on which answers to one's own requests come back. No host name has a dot, so no host can listen on a service's. */
export const inboxPrefixOf = (identity: Pick<Identity, "role"> & { readonly host?: string }): string =>
  identity.role === "agent" ? `_INBOX_${identity.host}` : `_INBOX.${identity.role}`;

/** Reads the names of a certificate as Node lists them (`DNS:…, URI:…`). Undefined where they are not exactly one identity of ours. */
export function identityIn(subjectAltName: string | undefined): Identity | undefined {
  const uris = (subjectAltName ?? "").split(", ").filter((name) => name.startsWith("URI:"));
  const match = uris.length === 1 ? /^URI:berth:\/\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(uris[0]!) : null;
  const [, cluster = "", role = "", host] = match ?? [];
  if (!isToken(cluster)) return undefined;
  if (role === "agent") return host !== undefined && isToken(host) ? { cluster, role, host } : undefined;
  const service = serviceRoles.find((each) => each === role);
  return service === undefined || host !== undefined ? undefined : { cluster, role: service };
}
