import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { tokenVerifier } from "./token-verifier.ts";

const clock = { now: Date.parse("2026-11-24T12:00:00Z") };
const now = () => clock.now;
const seconds = () => Math.floor(clock.now / 1000);

async function issuer(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: "EdDSA" };
  const sign = (over: { sub?: string; exp?: number; iss?: string; aud?: string } = {}) =>
    new SignJWT({ role: "admin" })
      .setProtectedHeader({ alg: "EdDSA", kid })
      .setSubject(over.sub ?? "anna")
      .setIssuer(over.iss ?? "berth")
      .setAudience(over.aud ?? "berth")
      .setExpirationTime(over.exp ?? seconds() + 900)
      .sign(privateKey);
  return { jwk, sign };
}

describe("tokenVerifier", () => {
  it("verifies with auth's keys, fetched once, and again for a key it does not know, but not each time", async () => {
    const [one, two, stranger] = await Promise.all([issuer("one"), issuer("two"), issuer("stranger")]);
    let keys = [one.jwk];
    let fetched = 0;
    const verify = tokenVerifier(
      { getKeySet: async () => ({ jwksJson: JSON.stringify({ keys }), fetched: fetched++ }) } as never,
      now,
    );
    expect(await verify(await one.sign())).toEqual({
      user: "anna",
      admin: true,
      keyId: "",
      expiresAtMs: (seconds() + 900) * 1000,
    });
    await verify(await one.sign());
    expect(fetched).toBe(1);
    keys = [one.jwk, two.jwk];
    await expect(verify(await two.sign())).rejects.toMatchObject({ reason: "BAD_TOKEN" });
    clock.now += 5_000;
    expect((await verify(await two.sign())).user).toBe("anna");
    for (let n = 0; n < 5; n++)
      await expect(verify(await stranger.sign())).rejects.toMatchObject({ reason: "BAD_TOKEN" });
    expect(fetched).toBe(2);
  });

  it("refuses what is out of date, of another issuer, for another audience, unsigned or no token", async () => {
    const one = await issuer("one");
    const verify = tokenVerifier(
      { getKeySet: async () => ({ jwksJson: JSON.stringify({ keys: [one.jwk] }) }) } as never,
      now,
    );
    await expect(verify(await one.sign({ exp: seconds() - 1 }))).rejects.toMatchObject({
      code: "unauthenticated",
      reason: "TOKEN_EXPIRED",
    });
    const bad = [
      await one.sign({ iss: "other" }),
      await one.sign({ aud: "other" }),
      new UnsecuredJWT({ role: "admin" })
        .setSubject("anna")
        .setIssuer("berth")
        .setAudience("berth")
        .setExpirationTime("1h")
        .encode(),
      "x",
      "a.b.c",
    ];
    for (const token of bad)
      await expect(verify(token)).rejects.toMatchObject({ code: "unauthenticated", reason: "BAD_TOKEN" });
  });
});
