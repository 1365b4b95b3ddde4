import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serviceSettings } from "@berth/local/setting-names";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const services = ["auth", "executor-agent", "gateway", "scheduler", "storage", "watcher"];
const configs = [...services.map((name) => `services/${name}/src/config.ts`), "libs/runtime/src/config.ts"];

/** Keys of the shapes that services read, as the environment names them. */
function keysOf(path: string): string[] {
  const source = readFileSync(`${root}/${path}`, "utf8");
  const keys = [...source.matchAll(/^ {2}([a-z][A-Za-z]*): (?:z[.\n]|amount\(|list\b|flag\(|mongoUrl\()/gm)].map(
    (match) => match[1]!,
  );
  return keys.map((key) => `BERTH_${key.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`);
}

describe("settings that berth knows by name", () => {
  it("are those that services read", () => {
    const read = new Set(configs.flatMap(keysOf));
    expect([...serviceSettings].toSorted()).toEqual([...read].toSorted());
  });
});
