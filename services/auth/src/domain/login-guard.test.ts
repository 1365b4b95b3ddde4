import { describe, expect, it } from "vitest";
import { LoginGuard } from "./login-guard.ts";

/** Guesses every 10 ms for a while; how many were looked at. */
function guesses(guard: LoginGuard, forMs: number, next: (n: number) => readonly [string, string]): number {
  let looked = 0;
  for (let now = 0; now < forMs; now += 10) {
    try {
      guard.begin(...next(now / 10), now);
      looked += 1;
    } catch (error) {
      expect(error).toMatchObject({ code: "quota", reason: "TOO_MANY_LOGINS" });
    }
  }
  return looked;
}

describe("LoginGuard", () => {
  it("looks at few guesses of one account, from wherever they come", () => {
    expect(guesses(new LoginGuard(), 600_000, () => ["ann", "10.0.0.1"])).toBeLessThan(30);
    expect(guesses(new LoginGuard(), 600_000, (n) => ["ann", `10.0.${n % 250}.1`])).toBeLessThan(30);
  });

  it("looks at few guesses of one address, whatever the accounts", () => {
    expect(guesses(new LoginGuard(), 600_000, (n) => [`user${n}`, "10.0.0.1"])).toBeLessThan(120);
    expect(guesses(new LoginGuard(), 600_000, (n) => [`user${n}`, `2001:db8::${(n % 9999) + 1}`])).toBeLessThan(120);
  });

  it("lets others in meanwhile, and the owner where they logged in before", () => {
    const guard = new LoginGuard();
    guard.begin("ann", "10.0.0.2", 0).succeeded();
    guesses(guard, 60_000, () => ["ann", "10.0.0.1"]);
    guard.begin("ann", "10.0.0.2", 60_000).succeeded();
    guard.begin("bob", "10.0.0.1", 60_000).succeeded();
    expect(() => guard.begin("ann", "10.0.0.3", 60_000)).toThrow("too many wrong passwords");
  });

  it("counts attempts that have not ended, and none that succeeded", () => {
    const guard = new LoginGuard();
    const open = Array.from({ length: 5 }, () => guard.begin("ann", "", 0));
    expect(open.map(({ pauseMs }) => pauseMs)).toEqual([0, 0, 0, 0, 1_000]);
    expect(() => guard.begin("ann", "", 0)).toThrow("wait 1 s");
    for (let n = 0; n < 100; n++) guard.begin("bob", "10.0.0.1", n).succeeded();
  });

  it("counts none that nobody could decide", () => {
    const guard = new LoginGuard();
    for (let n = 0; n < 100; n++) guard.begin("ann", "10.0.0.1", n).undecided();
    expect(guard.begin("ann", "10.0.0.1", 100).pauseMs).toBe(0);
  });

  it("forgets", () => {
    const guard = new LoginGuard();
    guesses(guard, 60_000, () => ["ann", ""]);
    const later = 3_600_000;
    for (let n = 0; n < 4; n++) expect(guard.begin("ann", "", later).pauseMs).toBe(0);
  });
});
