import type { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { AppError } from "@berth/core";

const patienceMs = 10_000;

/**
 * The authority of a cluster, as PEM text, from one of its gateways, which sends it behind its own certificate. It is believed by its fingerprint alone: SHA-256 in
 * hexadecimal, with or without colons. Throws `denied` OTHER_AUTHORITY where the gateway shows another, `unavailable` NO_ANSWER.
 */
export async function fetchAuthority(address: string, fingerprint: string): Promise<string> {
  const wanted = fingerprint.replaceAll(":", "").toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(wanted))
    throw new AppError("invalid", "BAD_FINGERPRINT", "the fingerprint must be SHA-256, in 64 hexadecimal digits");
  const shown = await chainOf(address);
  const found = shown.find((certificate) => fingerprintOf(certificate) === wanted);
  if (!found)
    throw new AppError(
      "denied",
      "OTHER_AUTHORITY",
      `${address} does not show the authority with that fingerprint: it is another cluster's, or somebody stands between`,
    );
  return found.toString();
}

const fingerprintOf = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(":", "").toLowerCase();

/** The certificates that a server shows. Nothing is believed of them yet. */
function chainOf(address: string): Promise<X509Certificate[]> {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  if (!match) throw new AppError("invalid", "ADDRESS_INVALID", `${JSON.stringify(address)} is not host:port`);
  const host = match[1] ?? match[2]!;
  return new Promise((resolve, reject) => {
    const away = (why: string): void =>
      reject(new AppError("unavailable", "NO_ANSWER", `${address} does not answer with TLS: ${why}`));
    const socket = connect({ host, port: Number(match[3]), ALPNProtocols: ["h2"], rejectUnauthorized: false }, () => {
      const all: X509Certificate[] = [];
      for (let one = socket.getPeerX509Certificate(); one && all.length < 5; one = one.issuerCertificate) {
        all.push(one);
        if (one.issuerCertificate && fingerprintOf(one.issuerCertificate) === fingerprintOf(one)) break;
      }
      socket.destroy();
      resolve(all);
    });
    socket.setTimeout(patienceMs, () => {
      socket.destroy();
      away(`nothing within ${patienceMs / 1000} s`);
    });
    socket.once("error", (error) => away(error.message));
  });
}
