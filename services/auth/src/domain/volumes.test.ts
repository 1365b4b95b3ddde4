import { describe, expect, it } from "vitest";
import type { AuthUser } from "@berth/plugins";
import { offered, resolveVolumes } from "./volumes.ts";
import type { SiteVolume } from "./volumes.ts";

const anna: AuthUser = {
  name: "anna",
  uid: 20_001,
  gid: 20_001,
  groups: [],
  role: "user",
  home: "/home/anna",
  email: "",
  disabled: false,
  createdAt: new Date(0),
};
const site: SiteVolume[] = [
  { name: "home", path: "$HOME", mount: "/home/$USER", mode: "rw" },
  { name: "db", path: "/data/db", mount: "/db", mode: "ro" },
  { name: "scratch", path: "/scratch/$UID/$USER", mount: "/scratch", mode: "rw" },
];
const wish = (name: string, readOnly = false) => ({ name, readOnly });

describe("resolveVolumes", () => {
  it("fills in user, uid and home, in the order asked", () => {
    expect(resolveVolumes(site, anna, [wish("scratch"), wish("home")])).toEqual([
      { name: "scratch", source: "/scratch/20001/anna", target: "/scratch", readOnly: false },
      { name: "home", source: "/home/anna", target: "/home/anna", readOnly: false },
    ]);
  });

  it("lets the site's read-only win, and the user ask for less", () => {
    expect(resolveVolumes(site, anna, [wish("db"), wish("home", true)]).map((v) => v.readOnly)).toEqual([true, true]);
  });

  it("refuses an unknown volume by name and lists what there is", () => {
    expect(() => resolveVolumes(site, anna, [wish("/etc")])).toThrow(
      expect.objectContaining({
        code: "invalid",
        reason: "UNKNOWN_VOLUME",
        message: expect.stringMatching(/"\/etc".*home, db, scratch/),
        metadata: expect.objectContaining({ volume: "/etc" }),
      }),
    );
  });

  it("refuses two volumes on one mount point", () => {
    const both = [...site, { name: "db2", path: "/data/db2", mount: "/db", mode: "ro" } as const];
    expect(() => resolveVolumes(both, anna, [wish("db"), wish("db2")])).toThrow(
      expect.objectContaining({ reason: "VOLUMES_COLLIDE" }),
    );
  });
});

describe("offered", () => {
  it("leaves out what needs a home where there is none, and any path that would climb", () => {
    const climbing: SiteVolume[] = [{ name: "up", path: "$HOME/../..", mount: "/up", mode: "ro" }];
    expect(offered([...site, ...climbing], { ...anna, home: "" }).map((v) => v.name)).toEqual(["db", "scratch"]);
    expect(offered(climbing, anna)).toEqual([]);
  });
});
