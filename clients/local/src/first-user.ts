import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import { serviceDnsName } from "@berth/contracts";
import { AuthServiceService, Role } from "@berth/contracts/auth";
import { openChannel } from "@berth/contracts/channel";
import { createClient, ClientError, Metadata, waitForChannelReady } from "nice-grpc";
import { secret, writeFileWhole } from "./cluster-file.ts";
import type { ClusterFile } from "./cluster-file.ts";
import type { Layout } from "./layout.ts";

/** What `berth` on this machine needs to talk to its cluster. */
export interface ClientFile {
  readonly server: string;
  readonly user: string;
  readonly key: string;
}

/**
 * Makes the first user, an admin, with a generated password and API key, in files of mode 0600; once. The user is who runs this, but never root: tasks of
 * a cluster that root started run as uid 20000, or as whoever used sudo.
 */
export async function makeFirstUser(layout: Layout, cluster: ClusterFile): Promise<void> {
  const server = `127.0.0.1:${cluster.gatewayPort}`;
  if (existsSync(layout.clientFile)) {
    const known = JSON.parse(
      await import("node:fs/promises").then((fs) => fs.readFile(layout.clientFile, "utf8")),
    ) as ClientFile;
    if (known.server !== server)
      writeFileWhole(layout.clientFile, `${JSON.stringify({ ...known, server }, null, 2)}\n`);
    return;
  }
  const who = firstIdentity();
  const made = await makeAdmin(
    `unix:${join(layout.run, "auth.sock")}`,
    { clusterSecret: secret(layout, "cluster").value },
    who,
    "berth up",
    join(layout.data, "auth"),
  );
  if (made.password !== undefined) {
    const user = { user: who.name, password: made.password };
    writeFileWhole(join(layout.secrets, "first-user.json"), `${JSON.stringify(user, null, 2)}\n`);
  }
  const client: ClientFile = { server, user: who.name, key: made.key };
  writeFileWhole(layout.clientFile, `${JSON.stringify(client, null, 2)}\n`);
}

export interface Admin {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Timeout of the calls, which also waits for services that were started just before. */
const patienceMs = 30_000;

/**
 * Makes the first admin, with a generated password, and an API key, by asking auth with the cluster's secret, or with auth's own identity. With `rescueDir`, auth's data directory, an admin is
 * made although others exist; if the name exists, it gets another key. Throws `unavailable` PEER_FAILED if auth refuses or does not answer.
 */
export async function makeAdmin(
  auth: string,
  proof: { readonly clusterSecret: string } | { readonly identityDir: string },
  who: Admin,
  keyName: string,
  rescueDir?: string,
): Promise<{ readonly password: string | undefined; readonly key: string }> {
  const channel = "identityDir" in proof ? channelAs(proof.identityDir, auth) : openChannel(auth);
  const metadata = Metadata("identityDir" in proof ? {} : { authorization: `Berth ${proof.clusterSecret}` });
  const late = AbortSignal.timeout(patienceMs);
  try {
    await waitForChannelReady(channel, new Date(Date.now() + patienceMs));
    const client = createClient(AuthServiceService, channel, {
      "*": { metadata, signal: late },
    });
    const identity = { user: who.name, uid: who.uid, gid: who.gid, groups: [] };
    const user = {
      name: who.name,
      identity,
      role: Role.ADMIN,
      home: who.home,
      email: "",
      createTime: undefined,
      disabled: false,
    };
    let password: string | undefined = randomBytes(18).toString("base64url");
    // The user may exist, if an earlier run died before it wrote the key down. A new key is made below.
    const rescue = rescueDir === undefined ? "" : putRescueFile(rescueDir);
    try {
      await client.createUser({ user, password, first: { rescue } });
    } catch (error) {
      if (!(error instanceof ClientError) || !error.details.startsWith(`user ${who.name} exists`)) throw error;
      password = undefined;
    } finally {
      if (rescueDir !== undefined) rmSync(join(rescueDir, rescue), { force: true });
    }
    const { key } = await client.createKey({ user: who.name, name: keyName, ttlMs: 0, byKeyId: "" });
    return { password, key };
  } catch (cause) {
    if (!late.aborted && !(cause instanceof ClientError)) throw cause;
    const why = cause instanceof ClientError ? cause.details : `no answer within ${patienceMs / 1000} s`;
    throw new AppError("unavailable", "PEER_FAILED", `auth at ${auth} did not do it: ${why}`, { cause });
  } finally {
    channel.close();
  }
}

/** A channel to auth with the identity in that directory. */
function channelAs(dir: string, addresses: string): ReturnType<typeof openChannel> {
  const pem = readFileSync(join(dir, "identity.pem"));
  const tls = credentials.createSsl(readFileSync(join(dir, "ca.pem")), pem, pem);
  return openChannel(addresses, tls, serviceDnsName("auth"));
}

/** Proves to auth that the caller can write to its data. */
function putRescueFile(dir: string): string {
  const name = `rescue-${randomBytes(16).toString("hex")}`;
  writeFileSync(join(dir, name), "", { mode: 0o600 });
  return name;
}

function firstIdentity(): Admin {
  const me = userInfo();
  if (me.uid !== 0) return { name: loginName(me.username), uid: me.uid, gid: me.gid, home: homedir() };
  const sudoUid = Number(process.env["SUDO_UID"] ?? 0);
  if (sudoUid > 0)
    return {
      name: loginName(process.env["SUDO_USER"] ?? "berth"),
      uid: sudoUid,
      gid: Number(process.env["SUDO_GID"] ?? sudoUid),
      home: "",
    };
  return { name: "berth", uid: 20000, gid: 20000, home: "" };
}

/** A login name of the system, changed to what Berth allows. */
function loginName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, "_")
    .slice(0, 32);
  return /^[a-z_]/.test(plain) ? plain : `u${plain}`.slice(0, 32);
}
