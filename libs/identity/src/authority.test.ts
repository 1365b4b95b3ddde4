import { X509Certificate } from "node:crypto";
import { identityIn } from "@berth/contracts";
import { describe, expect, it } from "vitest";
import {
  createAuthority,
  createRequest,
  createRequestFor,
  fingerprintOf,
  openAuthority,
  requestKeyHash,
} from "./authority.ts";

const now = new Date("2030-01-02T03:04:05Z");
const host = { cluster: "lab", role: "agent", host: "Node_1-b" } as const;

describe("a certificate authority", () => {
  it("makes certificates of services, by which they may serve and call under their role's name", async () => {
    const stored = await createAuthority("lab", now);
    const authority = await openAuthority(stored);
    const { pem, notAfter } = await authority.issueService(
      { cluster: "lab", role: "gateway" },
      { now, names: ["10.1.2.3", "berth.example.org"] },
    );
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    const leaf = new X509Certificate(pem.slice(pem.indexOf("-----BEGIN CERTIFICATE")));
    expect(identityIn(leaf.subjectAltName)).toEqual({ cluster: "lab", role: "gateway" });
    expect(leaf.checkHost("gateway.berth.internal")).toBeTruthy();
    expect(leaf.checkHost("berth.example.org")).toBeTruthy();
    expect(leaf.checkIP("10.1.2.3")).toBeTruthy();
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]);
    expect(leaf.ca).toBe(false);
    expect(leaf.verify(new X509Certificate(stored.certificatePem).publicKey)).toBe(true);
    expect(new Date(leaf.validTo).getTime()).toBe(Math.floor(notAfter.getTime() / 1000) * 1000);
    expect(fingerprintOf(pem.slice(pem.lastIndexOf("-----BEGIN CERTIFICATE")))).toBe(
      fingerprintOf(stored.certificatePem),
    );
  });

  it("certifies a host's own key as that host, and as no server", async () => {
    const authority = await openAuthority(await createAuthority("lab", now));
    const { keyPem, csrPem } = await createRequest();
    const { certificatePem, serial, notAfter } = await authority.issueHost(csrPem, host, { now, lifeMs: 3_600_000 });
    const leaf = new X509Certificate(certificatePem);
    expect(leaf.subjectAltName).toBe("URI:berth://lab/agent/Node_1-b");
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(leaf.serialNumber.toLowerCase()).toBe(serial);
    expect(notAfter).toEqual(new Date(now.getTime() + 3_600_000));
    expect(await requestKeyHash(await createRequestFor(keyPem))).toBe(await requestKeyHash(csrPem));
  });

  it("lets no certificate outlive its own", async () => {
    const authority = await openAuthority(await createAuthority("lab", new Date(now.getTime() - 3_649 * 86_400_000)));
    const { notAfter } = await authority.issueService({ cluster: "lab", role: "auth" }, { now });
    expect(notAfter.getTime() - now.getTime()).toBe(86_400_000);
  });

  it("refuses what is no request, and one that its key has not signed", async () => {
    const authority = await openAuthority(await createAuthority("lab", now));
    const bad = { code: "invalid", reason: "BAD_CSR" };
    await expect(authority.issueHost("nothing", host, { now })).rejects.toMatchObject(bad);
    const { csrPem } = await createRequest();
    const bytes = Buffer.from(csrPem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
    bytes[bytes.length - 5]! ^= 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(authority.issueHost(forged, host, { now })).rejects.toMatchObject(bad);
  });
});

describe("identityIn", () => {
  it("reads exactly one identity, and nothing that looks like one", () => {
    expect(identityIn("DNS:storage.berth.internal, URI:berth://lab/storage")).toEqual({
      cluster: "lab",
      role: "storage",
    });
    for (const names of [
      undefined,
      "",
      "DNS:storage.berth.internal",
      "URI:berth://lab/nobody",
      "URI:berth://lab/agent",
      "URI:berth://lab/agent/a/b",
      "URI:berth://lab/agent/a.b",
      "URI:berth://lab/storage/x",
      "URI:https://lab/storage",
      "URI:berth://lab/agent/a, URI:berth://lab/storage",
      'DNS:"x, URI:berth://lab/storage"',
    ])
      expect(identityIn(names), names).toBeUndefined();
  });
});
