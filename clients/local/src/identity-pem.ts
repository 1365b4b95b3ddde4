import { X509Certificate } from "node:crypto";
import { AppError } from "@berth/core";
import { identityIn, serviceDnsName } from "@berth/contracts";
import type { Identity } from "@berth/contracts";

/** The identity in a PEM text of key and certificates, and the names in it that Berth did not add itself. */
export function identityInPem(pem: string): { identity: Identity; names: string[]; notAfter: Date } {
  const leaf = new X509Certificate(pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----")));
  const identity = identityIn(leaf.subjectAltName);
  if (!identity) throw new AppError("invalid", "BAD_IDENTITY", "the certificate is none of Berth");
  const names = (leaf.subjectAltName ?? "")
    .split(", ")
    .flatMap((name) =>
      /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ? [/^(?:DNS|IP Address):(.+)$/.exec(name)![1]!] : [],
    )
    .filter((name) => identity.role === "agent" || name !== serviceDnsName(identity.role));
  return { identity, names, notAfter: new Date(leaf.validTo) };
}
