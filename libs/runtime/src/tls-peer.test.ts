import { once } from "node:events";
import { connect, createSecureServer } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { createAuthority, createRequest, openAuthority } from "@berth/identity";
import type { CertificateAuthority } from "@berth/identity";
import { serviceDnsName } from "@berth/contracts";
import { describe, expect, it } from "vitest";
import { tlsPeerOf } from "./tls-peer.ts";

const now = new Date();

async function hostPem(authority: CertificateAuthority): Promise<string> {
  const { keyPem, csrPem } = await createRequest();
  const identity = { cluster: "lab", role: "agent", host: "Node_1" } as const;
  return keyPem + (await authority.issueHost(csrPem, identity, { now })).certificatePem;
}

describe("the peer of a connection", () => {
  it("is nobody without a certificate that our authority has signed, even where the connection stands", async () => {
    const ours = await openAuthority(await createAuthority("lab", now));
    const another = await openAuthority(await createAuthority("lab", now));
    const { pem: server } = await ours.issueService({ cluster: "lab", role: "storage" }, { now });
    const ca = ours.certificatePem;
    const listener = createSecureServer({
      key: server,
      cert: server,
      ca,
      requestCert: true,
      rejectUnauthorized: false,
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const peerBy = async (pem?: string) => {
      const stands = once(listener, "session") as Promise<[ServerHttp2Session]>;
      const client = connect(`https://127.0.0.1:${port}`, {
        ca,
        servername: serviceDnsName("storage"),
        ...(pem ? { key: pem, cert: pem } : {}),
      });
      const [session] = await stands;
      const peer = tlsPeerOf(session);
      const closed = once(client, "close");
      client.destroy();
      await closed;
      return peer?.identity;
    };
    try {
      expect(await peerBy(await hostPem(ours))).toEqual({ cluster: "lab", role: "agent", host: "Node_1" });
      expect(await peerBy(await hostPem(another))).toBeUndefined();
      expect(await peerBy()).toBeUndefined();
    } finally {
      listener.close();
    }
  });
});
