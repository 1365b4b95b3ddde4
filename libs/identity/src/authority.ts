import { createHash, webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import "reflect-metadata"; // x509 needs it to find its parts
import * as x509 from "@peculiar/x509";
import { AppError } from "@berth/core";
import { identityUri, serviceDnsName } from "@berth/contracts";
import type { Identity } from "@berth/contracts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;
/** Certificates begin this long before now, so that a machine with a slow clock accepts them. */
const backdateMs = 5 * 60_000;
/** Begin of a certificate. A short life is lengthened by at most a tenth. */
const notBefore = (now: Date, lifeMs: number): Date => new Date(now.getTime() - Math.min(backdateMs, lifeMs / 10));

/** How long certificates last, in milliseconds. Hosts' are short, because agents renew them over the network. */
export const lifetimes = { authority: 3_650 * dayMs, service: 365 * dayMs, host: 7 * dayMs } as const;

/** A certificate authority as it is stored: two PEM texts. */
export interface StoredAuthority {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** Hexadecimal, unique. */
  readonly serial: string;
  readonly notAfter: Date;
}

/** Signs certificates of one cluster. */
export interface CertificateAuthority {
  readonly certificatePem: string;
  /** Key and certificate of a service and the authority's certificate, in one PEM text. `names` are host names and IP addresses by which clients reach it. */
  issueService(
    identity: Identity,
    options: { readonly now: Date; readonly names?: readonly string[]; readonly lifeMs?: number },
  ): Promise<{ readonly pem: string; readonly notAfter: Date }>;
  /** A certificate for the key of a request. Throws `invalid` BAD_CSR if the request is not signed by its own key, or its key is of another type. */
  issueHost(
    csrPem: string,
    identity: Identity,
    options: { readonly now: Date; readonly lifeMs?: number },
  ): Promise<IssuedCertificate>;
}

/** A new authority for a cluster. */
export async function createAuthority(cluster: string, now: Date): Promise<StoredAuthority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ O: ["Berth"] }, { CN: [`Berth cluster ${cluster}`] }],
    notBefore: notBefore(now, lifetimes.authority),
    notAfter: new Date(now.getTime() + lifetimes.authority),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { keyPem: await privatePem(keys), certificatePem: `${certificate.toString("pem")}\n` };
}

/** Throws if key and certificate do not match. */
export async function openAuthority({ keyPem, certificatePem }: StoredAuthority): Promise<CertificateAuthority> {
  const authority = new x509.X509Certificate(certificatePem);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pemBytes(keyPem), algorithm, false, ["sign"]);
  const publicKey = await authority.publicKey.export();

  async function issue(
    identity: Identity,
    key: x509.PublicKeyType,
    now: Date,
    lifeMs: number,
    names: readonly string[],
  ): Promise<IssuedCertificate> {
    const isService = identity.role !== "agent";
    const serial = newSerial();
    // A certificate must not outlive that of its authority.
    const notAfter = new Date(Math.min(now.getTime() + lifeMs, authority.notAfter.getTime()));
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: [{ O: ["Berth"] }, { CN: [isService ? identity.role : `agent ${identity.host}`] }],
      issuer: authority.subjectName,
      notBefore: notBefore(now, lifeMs),
      notAfter,
      publicKey: key,
      signingKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.clientAuth,
          ...(isService ? [x509.ExtendedKeyUsage.serverAuth] : []),
        ]),
        new x509.SubjectAlternativeNameExtension([
          { type: "url", value: identityUri(identity) },
          ...(isService ? [{ type: "dns" as const, value: serviceDnsName(identity.role) }] : []),
          ...names.map((name) => ({ type: isIP(name) ? ("ip" as const) : ("dns" as const), value: name })),
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(publicKey),
      ],
    });
    return { certificatePem: `${certificate.toString("pem")}\n`, serial, notAfter };
  }

  return {
    certificatePem,
    async issueService(identity, { now, names = [], lifeMs = lifetimes.service }) {
      const keys = await newKeys();
      const { certificatePem: leaf, notAfter } = await issue(identity, keys.publicKey, now, lifeMs, names);
      return { pem: (await privatePem(keys)) + leaf + certificatePem, notAfter };
    },
    async issueHost(csrPem, identity, { now, lifeMs = lifetimes.host }) {
      const { request } = await readRequest(csrPem);
      return issue(identity, request.publicKey, now, lifeMs, []);
    },
  };
}

/** A new key, as PEM, and a request to certify it. The key never leaves the machine that made it. */
export async function createRequest(): Promise<{ readonly keyPem: string; readonly csrPem: string }> {
  const keys = await newKeys();
  return { keyPem: await privatePem(keys), csrPem: await requestFor(keys) };
}

/** A request for a stored key, to repeat a request whose answer was lost. */
export async function createRequestFor(keyPem: string): Promise<string> {
  const privateKey = await webcrypto.subtle.importKey("pkcs8", pemBytes(keyPem), algorithm, true, ["sign"]);
  const { d: _, key_ops: __, ...half } = await webcrypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await webcrypto.subtle.importKey("jwk", half, algorithm, true, ["verify"]);
  return requestFor({ privateKey, publicKey });
}

/** SHA-256 of the public key of a request, in hexadecimal. Throws `invalid` BAD_CSR. */
export const requestKeyHash = async (csrPem: string): Promise<string> => (await readRequest(csrPem)).keyHash;

/** Fingerprint by which a first connection verifies the authority: SHA-256 of its certificate, in hexadecimal without colons. */
export const fingerprintOf = (certificatePem: string): string =>
  new X509Certificate(certificatePem).fingerprint256.replaceAll(":", "").toLowerCase();

async function readRequest(csrPem: string) {
  const bad = (what: string): AppError => new AppError("invalid", "BAD_CSR", `csr: ${what}`);
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem);
  } catch {
    throw bad("must be a PKCS #10 certificate request in PEM");
  }
  const { name, namedCurve } = request.publicKey.algorithm as { name?: string; namedCurve?: string };
  if (name !== "ECDSA" || namedCurve !== "P-256") throw bad("must be of an ECDSA key on P-256");
  if (!(await request.verify().catch(() => false))) throw bad("is not signed by its own key");
  const keyHash = createHash("sha256").update(Buffer.from(request.publicKey.rawData)).digest("hex");
  return { request, keyHash };
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

const requestFor = async (keys: webcrypto.CryptoKeyPair): Promise<string> =>
  (
    await x509.Pkcs10CertificateRequestGenerator.create({
      name: [{ O: ["Berth"] }],
      keys,
      signingAlgorithm: algorithm,
    })
  ).toString("pem");

async function privatePem({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", privateKey));
  const lines = bytes.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

const pemBytes = (pem: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(/-----BEGIN PRIVATE KEY-----([^-]+)-----END/.exec(pem)?.[1] ?? "", "base64"));

/** 16 random bytes, as a positive number in DER. */
const newSerial = (): string => {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString("hex");
};
