import type { AuthPlugin } from "@berth/plugins";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** What the suite needs to know of a provider's people. */
export interface ProviderUnderTest {
  readonly plugin: AuthPlugin;
  /** An ordinary user, who may log in, with a key of theirs. */
  readonly person: { readonly name: string; readonly password: string; readonly uid: number; readonly key: string };
  /** Another user's password is not theirs. */
  readonly other: { readonly name: string; readonly password: string };
  /** A user with the role of an admin. */
  readonly admin: { readonly name: string };
  /** Somebody who is known and may neither log in nor run tasks. */
  readonly disabled: { readonly name: string; readonly password: string; readonly key: string };
  /** The volumes that it offers `person`, by name; at least two, the first of them read-only for everybody. */
  readonly volumes: readonly [string, string, ...string[]];
  stop(): Promise<void>;
}

const hostile = ["", " ", "*", "a*", "*)(uid=*", "x)(|(uid=*))", "\\2a", "\0", "a\0b", "ü", "../x", "a".repeat(10_000)];

/** What every identity provider promises (`AuthPlugin`); a site's own provider is held against it with one call. */
export function describeAuthPlugin(name: string, start: () => Promise<ProviderUnderTest>): void {
  describe(`the identity provider ${name}`, () => {
    let it_: ProviderUnderTest;
    beforeAll(async () => {
      it_ = await start();
    }, 60_000);
    afterAll(() => it_?.stop());

    it("lets in who knows the password, and says who that is", async () => {
      const { plugin, person } = it_;
      const user = await plugin.bindCredentials(person.name, person.password);
      expect(user).toMatchObject({ name: person.name, uid: person.uid, role: "user", disabled: false });
      expect(user!.gid).toBeGreaterThan(0);
      expect(user!.groups).not.toContain(0);
      expect(await plugin.getUser(person.name)).toEqual(user);
    });

    it("does not let in by a wrong password, an empty one, or another's", async () => {
      const { plugin, person, other } = it_;
      for (const password of [`${person.password}x`, person.password.slice(1), "", " ", "\0", other.password])
        expect(await plugin.bindCredentials(person.name, password), JSON.stringify(password)).toBeUndefined();
    });

    it("knows nobody by a name that it does not have, whatever stands in it", async () => {
      const { plugin, person } = it_;
      for (const login of ["nobody-here", ...hostile]) {
        expect(
          await plugin.bindCredentials(login, person.password),
          JSON.stringify(login.slice(0, 20)),
        ).toBeUndefined();
        expect(await plugin.getUser(login), JSON.stringify(login.slice(0, 20))).toBeUndefined();
      }
      expect(await plugin.getUser(person.name.toUpperCase())).toBeUndefined();
    });

    it("keeps out who is disabled, by password and by key, and runs nothing for them", async () => {
      const { plugin, disabled } = it_;
      expect(await plugin.bindCredentials(disabled.name, disabled.password)).toBeUndefined();
      expect(await plugin.bindApi(disabled.key)).toBeUndefined();
      const user = (await plugin.getUser(disabled.name))!;
      expect(user.disabled).toBe(true);
      expect(await plugin.canRun({ user, project: "", image: "" })).toBe(false);
      if (plugin.disabledUsers) expect(await plugin.disabledUsers()).toEqual([disabled.name]);
    });

    it("knows who is an admin", async () => {
      expect((await it_.plugin.getUser(it_.admin.name))!.role).toBe("admin");
    });

    it("knows the owner of a key, and of nothing else", async () => {
      const { plugin, person } = it_;
      expect((await plugin.bindApi(person.key))!.name).toBe(person.name);
      const cut = person.key.slice(0, -1);
      for (const key of [`${cut}${person.key.endsWith("A") ? "B" : "A"}`, cut, "", ...hostile])
        expect(await plugin.bindApi(key), JSON.stringify(key.slice(0, 20))).toBeUndefined();
    });

    it("offers volumes: all of them, or exactly those that are asked for, in that order", async () => {
      const { plugin, person, volumes } = it_;
      const user = (await plugin.getUser(person.name))!;
      const all = await plugin.getVolumes(user);
      expect(all.map((volume) => volume.name).toSorted()).toEqual(volumes.toSorted());
      for (const { source, target } of all) expect([source, target].every((path) => path.startsWith("/"))).toBe(true);
      const wishes = volumes.toReversed().map((each) => ({ name: each, readOnly: false }));
      const given = await plugin.getVolumes(user, wishes);
      expect(given.map((volume) => volume.name)).toEqual(wishes.map((wish) => wish.name));
      expect(given.find((volume) => volume.name === volumes[0])!.readOnly).toBe(true);
      const readOnly = await plugin.getVolumes(user, [{ name: volumes[1], readOnly: true }]);
      expect(readOnly[0]!.readOnly).toBe(true);
      await expect(plugin.getVolumes(user, [{ name: "not-on-offer", readOnly: true }])).rejects.toMatchObject({
        code: "invalid",
        reason: "UNKNOWN_VOLUME",
        message: expect.stringContaining("not-on-offer") as string,
      });
      expect(await plugin.getVolumes(user, [])).toEqual([]);
    });

    it("names its limits", async () => {
      const quotas = await it_.plugin.getQuotas(it_.person.name, "user");
      expect(quotas.priority).toBeGreaterThanOrEqual(1);
      expect(quotas.priority).toBeLessThanOrEqual(99);
      for (const amount of [quotas.timeMs, quotas.cpuMs, quotas.memoryByteMs]) expect(amount).toBeGreaterThanOrEqual(0);
      expect(
        await it_.plugin.canRun({ user: (await it_.plugin.getUser(it_.person.name))!, project: "", image: "" }),
      ).toBe(true);
    });

    it("answers many at once, each for themselves", async () => {
      const { plugin, person, other } = it_;
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          n % 2 === 0
            ? plugin.bindCredentials(person.name, person.password)
            : plugin.bindCredentials(person.name, other.password),
        ),
      );
      answers.forEach((user, n) => expect(user?.name).toBe(n % 2 === 0 ? person.name : undefined));
    });
  });
}
