import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import type { experimental } from "@grpc/grpc-js";
import { AppError, secretFileFault } from "@berth/core";
import { identityIn } from "@berth/contracts";
import type { Identity } from "@berth/contracts";
import type { Closing } from "./closing.ts";
import type { Logger } from "./logger.ts";

/** In an identity's directory: key, certificate and the authority's certificate in one file, so that a renewal replaces them together. */
export const identityFile = (dir: string): string => join(dir, "identity.pem");
/** In an identity's directory: certificate of the cluster's authority. */
export const authorityFile = (dir: string): string => join(dir, "ca.pem");
/** In an identity's directory: credentials on the bus. */
export const busCredentialsFile = (dir: string): string => join(dir, "bus.creds");

/** How often the files are checked for changes, in milliseconds. */
const lookEveryMs = 2_000;
/** Rest of a certificate's life from which on the log warns. */
const warnBeforeMs = 14 * 86_400_000;
const warnEveryMs = 3_600_000;

type CertificateProvider = experimental.CertificateProvider;

/** An identity, as read from its files last. */
export interface IdentityFiles extends CertificateProvider {
  readonly identity: Identity;
  /** Of the certificate that is in use. */
  readonly notBefore: Date;
  readonly notAfter: Date;
}

interface Loaded {
  readonly pem: Buffer;
  readonly ca: Buffer;
  readonly identity: Identity;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly stamp: string;
}

/**
 * Reads an identity from its directory, and again whenever the files change. New connections use the new certificate; open ones stay. Damaged files, or files
 * of another identity, are logged and the last valid ones stay in use. Throws `invalid` BAD_IDENTITY if the first reading fails.
 */
export function openIdentity(
  dir: string,
  { closing, logger, everyMs = lookEveryMs }: { closing: Closing; logger: Logger; everyMs?: number },
): IdentityFiles {
  let now = load(dir);
  let failed = "";
  let warnedMs = -Infinity;
  const caListeners = new Set<Parameters<CertificateProvider["addCaCertificateListener"]>[0]>();
  const identityListeners = new Set<Parameters<CertificateProvider["addIdentityCertificateListener"]>[0]>();

  const warnOfEnd = (): void => {
    const leftMs = now.notAfter.getTime() - Date.now();
    const isAgent = now.identity.role === "agent"; // an agent renews its certificate itself, and its whole life is shorter than `warnBeforeMs`
    if (isAgent || leftMs > warnBeforeMs || performance.now() - warnedMs < warnEveryMs) return;
    warnedMs = performance.now();
    logger.warn("the certificate of this service ends soon; renew it with: berth init --renew", {
      dir,
      ends: now.notAfter.toISOString(),
    });
  };

  const timer = setInterval(() => {
    warnOfEnd();
    const stamp = stampOf(dir);
    if (stamp === now.stamp || stamp === failed) return;
    try {
      const next = load(dir);
      if (next.identity.cluster !== now.identity.cluster || next.identity.role !== now.identity.role)
        throw badIdentity(dir, "now holds another identity");
      now = next;
      failed = "";
    } catch (error) {
      failed = stamp;
      logger.error("the identity's new files cannot be used; the last good ones stay in use", { dir, error });
      return;
    }
    logger.info("the identity's files were read again", { dir, ends: now.notAfter.toISOString() });
    for (const listener of caListeners) listener({ caCertificate: now.ca });
    for (const listener of identityListeners) listener({ certificate: now.pem, privateKey: now.pem });
  }, everyMs).unref();
  closing.add(() => clearInterval(timer));
  warnOfEnd();

  return {
    get identity() {
      return now.identity;
    },
    get notBefore() {
      return now.notBefore;
    },
    get notAfter() {
      return now.notAfter;
    },
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      process.nextTick(() => listener({ caCertificate: now.ca })); // not earlier: grpc-js is not ready for it yet
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      process.nextTick(() => listener({ certificate: now.pem, privateKey: now.pem }));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  };
}

function load(dir: string): Loaded {
  try {
    const stamp = stampOf(dir);
    const path = identityFile(dir);
    const exposed = secretFileFault(path, statSync(path));
    if (exposed !== undefined) throw badIdentity(dir, exposed);
    const pem = readFileSync(path);
    const ca = readFileSync(authorityFile(dir));
    createSecureContext({ key: pem, cert: pem, ca }); // throws if key and certificate do not match
    const text = pem.toString("latin1");
    const leaf = new X509Certificate(text.slice(text.indexOf("-----BEGIN CERTIFICATE-----")));
    const identity = identityIn(leaf.subjectAltName);
    if (!identity) throw badIdentity(dir, "holds no certificate of Berth");
    if (!leaf.verify(new X509Certificate(ca).publicKey))
      throw badIdentity(dir, "holds a certificate that ca.pem has not signed");
    return { pem, ca, identity, notBefore: new Date(leaf.validFrom), notAfter: new Date(leaf.validTo), stamp };
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw badIdentity(dir, error instanceof Error ? error.message : String(error));
  }
}

const badIdentity = (dir: string, what: string): AppError =>
  new AppError("invalid", "BAD_IDENTITY", `the identity in ${dir}: ${what}`, { metadata: { path: dir } });

/** A text that changes with the files. They are replaced by rename, so a new file has another inode. */
const stampOf = (dir: string): string =>
  [identityFile(dir), authorityFile(dir)]
    .map((path) => statSync(path, { throwIfNoEntry: false }))
    .map((stat) => (stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : "none"))
    .join(" ");
