import { randomBytes } from "node:crypto";
import type { Accounts, StoredKey } from "@berth/auth";
import type { AuthUser } from "@berth/plugins";
import { describe, expect, it } from "vitest";

/** A database of its own for each test, opened as often as it is asked for: as copies do. */
export interface TestAccounts {
  open(): Promise<Accounts>;
  remove(): Promise<void>;
}

/** The contract of the Accounts port. An adapter joins by one call. */
export function describeAccounts(name: string, make: () => Promise<TestAccounts>): void {
  const test = (what: string, fn: (database: TestAccounts) => Promise<void>) =>
    it(what, async () => {
      const database = await make();
      try {
        await fn(database);
      } finally {
        await database.remove();
      }
    });
  const user = (userName: string): Omit<AuthUser, "uid" | "gid"> => ({
    name: userName,
    groups: [100, 200],
    role: "user",
    home: `/home/${userName}`,
    email: `${userName}@example.org`,
    disabled: false,
    createdAt: new Date(1_764_000_000_000),
  });
  const next = (taken: ReadonlySet<number>) => {
    let uid = 20_000;
    while (taken.has(uid)) uid += 1;
    return { uid, gid: uid };
  };
  const key = (id: string, of: string, at = 0, expiresAt?: Date): StoredKey => ({
    id,
    user: of,
    name: `key ${id}`,
    secretHash: Buffer.from(id.padEnd(32, "x")),
    createdAt: new Date(1_764_000_000_000 + at),
    expiresAt,
  });

  describe(`Accounts on ${name}`, () => {
    test("keeps a user as it was added, for whoever opens it next", async ({ open }) => {
      const ada = { ...user("ada"), uid: 20_000, gid: 20_000 };
      expect(await (await open()).addUser(user("ada"), next, "hash")).toEqual(ada);
      const again = await open();
      expect(await again.user("ada")).toEqual(ada);
      expect(await again.passwordHash("ada")).toBe("hash");
      expect(await again.user("bob")).toBeUndefined();
      expect(await again.passwordHash("bob")).toBeUndefined();
    });

    test("gives no name and no uid twice", async ({ open }) => {
      const accounts = await open();
      await accounts.addUser(user("ada"), next, "");
      await expect(accounts.addUser(user("ada"), next, "")).rejects.toMatchObject({
        code: "conflict",
        reason: "USER_EXISTS",
      });
      await expect(accounts.addUser(user("bob"), () => ({ uid: 20_000, gid: 1 }), "")).rejects.toMatchObject({
        code: "conflict",
        reason: "UID_TAKEN",
        metadata: { uid: "20000" },
      });
    });

    test("gives each of many that come at once, on two copies, a uid of its own", async ({ open }) => {
      const [one, two] = [await open(), await open()];
      const names = Array.from({ length: 6 }, (_, n) => `user${n}`);
      const added = await Promise.all(names.map((each, n) => (n % 2 ? one : two).addUser(user(each), next, "")));
      expect(new Set(added.map(({ uid }) => uid)).size).toBe(names.length);
      const race = await Promise.allSettled([one, two].map((each) => each.addUser(user("race"), next, "")));
      expect(race.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    });

    test("lists who is disabled, until enabled again", async ({ open }) => {
      const accounts = await open();
      for (const name of ["cyd", "bob", "ada"]) await accounts.addUser(user(name), next, "");
      await accounts.setDisabled("cyd", true);
      await accounts.setDisabled("bob", true);
      expect(await (await open()).disabled()).toEqual(["bob", "cyd"]);
      await accounts.setDisabled("cyd", false);
      expect(await accounts.disabled()).toEqual(["bob"]);
    });

    test("keeps keys with their hash and end, and lists a user's by time", async ({ open }) => {
      const accounts = await open();
      const ends = new Date(1_800_000_000_000);
      await accounts.addKey(key("b", "ada", 2_000, ends));
      await accounts.addKey(key("a", "ada", 1_000));
      await accounts.addKey(key("c", "bob"));
      const found = (await (await open()).key("b"))!;
      expect({ ...found, secretHash: Buffer.from(found.secretHash) }).toEqual(key("b", "ada", 2_000, ends));
      expect(found.secretHash).toHaveLength(32);
      expect((await accounts.keysOf("ada")).map(({ id }) => id)).toEqual(["a", "b"]);
      expect((await accounts.key("a"))!.expiresAt).toBeUndefined();
      expect(await accounts.key("nothing")).toBeUndefined();
    });

    test("disables and enables a user, and lists the admins that may act", async ({ open }) => {
      const accounts = await open();
      await accounts.addUser({ ...user("ada"), role: "admin" }, next, "");
      await accounts.addUser({ ...user("eve"), role: "admin" }, next, "");
      await accounts.addUser(user("bob"), next, "");
      expect(await accounts.admins()).toEqual(["ada", "eve"]);
      expect(await accounts.setDisabled("eve", true)).toMatchObject({ name: "eve", disabled: true });
      const other = await open();
      expect(await other.user("eve")).toMatchObject({ disabled: true });
      expect(await other.admins()).toEqual(["ada"]);
      expect(await other.setDisabled("eve", false)).toMatchObject({ disabled: false });
      expect(await accounts.admins()).toEqual(["ada", "eve"]);
      expect(await accounts.setDisabled("nobody", true)).toBeUndefined();
    });

    test("removes a key of its user, and of nobody else", async ({ open }) => {
      const accounts = await open();
      const id = randomBytes(4).toString("hex");
      await accounts.addKey(key(id, "ada"));
      expect(await accounts.removeKey("bob", id)).toBe(false);
      expect(await accounts.removeKey("ada", id)).toBe(true);
      expect(await accounts.removeKey("ada", id)).toBe(false);
      expect(await (await open()).key(id)).toBeUndefined();
    });
  });
}
