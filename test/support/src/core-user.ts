import { Role } from "@berth/contracts/auth";
import { connectBerth } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import type { CoreProcesses } from "./core-processes.ts";

/** An admin's client of a core that has gateways and auth, over all of its gateways. Call it once a core; more of them by `again`. */
export async function coreUser(core: CoreProcesses): Promise<{ readonly berth: Berth; again(): Berth }> {
  const uid = process.getuid?.() || 20_000; // never root
  const identity = { user: "ada", uid, gid: uid, groups: [] };
  await core.auth.createUser({
    user: { name: "ada", identity, role: Role.ADMIN, home: "", email: "", createTime: undefined, disabled: false },
    first: undefined,
    password: "a password of this test",
  });
  const { key } = await core.auth.createKey({ user: "ada", name: "test", ttlMs: 0, byKeyId: "" });
  const again = (): Berth => connectBerth({ address: core.addressOf("gateway"), credential: key, patienceMs: 30_000 });
  return { berth: again(), again };
}
