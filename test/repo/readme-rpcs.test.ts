import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The protos whose RPCs each service serves. */
const served: Readonly<Record<string, readonly string[]>> = {
  auth: ["auth/v1/auth_service"],
  gateway: ["api/v1/task_service", "api/v1/file_service", "api/v1/host_service", "api/v1/session_service"],
  scheduler: ["schedule/v1/schedule_service"],
  storage: ["store/v1/task_store_service", "store/v1/file_store_service"],
};

describe("a service's README", () => {
  it.each(Object.keys(served))("names every RPC that %s serves", (service) => {
    const readme = read(`services/${service}/README.md`);
    const rpcs = served[service]!.flatMap((proto) =>
      [...read(`proto/berth/${proto}.proto`).matchAll(/^ {2}rpc (\w+)/gm)].map(([, name]) => name!),
    );
    expect(rpcs.length).toBeGreaterThan(0);
    expect(rpcs.filter((name) => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([]);
  });
});
