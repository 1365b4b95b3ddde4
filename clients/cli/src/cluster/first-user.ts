import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { AuthServiceService, Role } from "@berth/contracts/auth";
import { createChannel, createClient, Metadata } from "nice-grpc";
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
  const channel = createChannel(`unix://${join(layout.run, "auth.sock")}`);
  try {
    const auth = createClient(AuthServiceService, channel, {
      "*": { metadata: Metadata({ authorization: `Berth ${secret(layout, "cluster").value}` }) },
    });
    const who = firstIdentity();
    const password = randomBytes(18).toString("base64url");
    await auth
      .createUser({
        user: {
          name: who.name,
          identity: { user: who.name, uid: who.uid, gid: who.gid, groups: [] },
          role: Role.ADMIN,
          home: who.home,
          email: "",
          createTime: undefined,
        },
        password,
      })
      .then(() =>
        writeFileWhole(
          join(layout.secrets, "first-user.json"),
          `${JSON.stringify({ user: who.name, password }, null, 2)}\n`,
        ),
      )
      // Made by a run of this that died before it wrote the key down; the key is what counts.
      .catch((error: unknown) => {
        if (!(error instanceof Error) || !/exists/i.test(error.message)) throw error;
      });
    const { key } = await auth.createKey({ user: who.name, name: "berth up", ttlMs: 0 });
    writeFileWhole(
      layout.clientFile,
      `${JSON.stringify({ server, user: who.name, key } satisfies ClientFile, null, 2)}\n`,
    );
  } finally {
    channel.close();
  }
}

function firstIdentity(): { name: string; uid: number; gid: number; home: string } {
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

/** A system's login name in the form that Berth allows. */
function loginName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, "_")
    .slice(0, 32);
  return /^[a-z_]/.test(plain) ? plain : `u${plain}`.slice(0, 32);
}
