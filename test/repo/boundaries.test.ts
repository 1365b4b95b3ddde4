import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A fault in a file, and a part of what the rules say of it. A rule that catches nothing looks like a clean tree. */
const faults: readonly (readonly [file: string, source: string, said: string])[] = [
  ["libs/core/src/a.ts", `import "node:fs";`, "core depends on nothing"],
  ["libs/core/src/b.ts", `export const f = async () => {};`, "synchronous"],
  ["libs/contracts/src/a.ts", `import "@berth/runtime";`, "contracts use core"],
  ["libs/runtime/src/a.ts", `import "@nats-io/transport-node";`, "it knows no bus"],
  ["libs/runtime/src/b.ts", `export * from "@berth/database";`, "runtime uses core"],
  ["libs/nats/src/a.ts", `import "@berth/database";`, "nats uses"],
  ["libs/database/src/a.ts", `import "@nats-io/transport-node";`, "database uses"],
  ["libs/identity/src/a.ts", `import "@berth/runtime";`, "identity uses core and contracts"],
  ["libs/plugins/src/a.ts", `import "@berth/scheduler";`, "plugins uses"],
  ["clients/cli/src/a.ts", `import "@berth/runtime";`, "behind the gateway"],
  ["clients/cli/src/b.ts", `import "@grpc/grpc-js";`, "behind the gateway"],
  ["clients/local/src/a.ts", `import "@berth/runtime";`, "bringing up a cluster uses"],
  ["clients/local/src/b.ts", `import "@berth/cli";`, "bringing up a cluster uses"],
  ["services/scheduler/src/domain/a.ts", `import "zod";`, "no npm"],
  [
    "services/scheduler/src/domain/b.ts",
    `import type { Task } from "@berth/contracts";\nexport type { Task };`,
    "no generated types",
  ],
  ["services/scheduler/src/domain/j.ts", `import { load } from "@berth/plugins";\nexport { load };`, "no other layer"],
  ["services/scheduler/src/domain/c.ts", `import "../app/loop.ts";`, "no other layer"],
  ["services/scheduler/src/domain/d.ts", `export const f = () => Date.now();`, "take `now` as an argument"],
  ["services/scheduler/src/domain/e.ts", `export const f = () => Math.random();`, "take `random` as an argument"],
  ["services/scheduler/src/domain/f.ts", `export const f = () => new Date();`, "take `now` as an argument"],
  [
    "services/scheduler/src/domain/g.ts",
    `export const f = async (p: Promise<number>) => await p;`,
    "domain code is synchronous",
  ],
  ["services/scheduler/src/domain/h.ts", `export const f = () => process.env;`, "domain code has no process"],
  [
    "services/scheduler/src/domain/i.ts",
    `export const f = () => setTimeout(() => {}, 1);`,
    "domain code has no setTimeout",
  ],
  ["services/storage/src/decisions/a.ts", `import "../adapters/sqlite/engine.ts";`, "a decision uses"],
  ["services/storage/src/decisions/b.ts", `import "../app/task-store.ts";`, "a decision uses"],
  ["services/storage/src/decisions/c.ts", `import "node:fs";`, "no Node but hashes"],
  ["services/storage/src/decisions/d.ts", `import "mongodb";`, "no npm"],
  ["services/storage/src/decisions/e.ts", `export const f = () => Date.now();`, "take `now` as an argument"],
  [
    "services/storage/src/decisions/record/f.ts",
    `export const f = async (p: Promise<number>) => await p;`,
    "domain code is synchronous",
  ],
  ["services/scheduler/src/ports/a.ts", `import "../app/loop.ts";`, "a port speaks"],
  ["services/scheduler/src/app/a.ts", `import "../adapters/grpc/codec.ts";`, "app takes what it needs"],
  ["services/scheduler/src/app/b.ts", `import "node:fs";`, "app takes what it needs"],
  ["services/scheduler/src/app/c.ts", `import "@berth/nats";`, "app takes what it needs"],
  ["services/scheduler/src/adapters/grpc/a.ts", `import "dockerode";`, "the gRPC adapter"],
  ["services/scheduler/src/adapters/nats/a.ts", `import "node:sqlite";`, "a vendor is imported"],
  ["services/scheduler/src/adapters/nats/b.ts", `import "@berth/storage";`, "a service never imports a service"],
  ["services/scheduler/src/main.ts", `import "../../storage/src/main.ts";`, "a service never imports a service"],
  [
    "services/scheduler/src/a.ts",
    `export const f = () => import("@berth/watcher");`,
    "a service never imports a service",
  ],
  ["services/scheduler/src/adapters/b.ts", `export const f = (x: any) => x;`, "no-explicit-any"],
  ["services/scheduler/src/adapters/c.ts", `export default 1;`, "no-default-export"],
  ["services/scheduler/src/adapters/d.ts", `export const a = 1;\n`.padEnd(4_000, "\n"), "max-lines"],
  ["test/e2e/a.test.ts", `import "../../services/storage/src/app/a.ts";`, "tests use a package's door"],
];

const wellMade: readonly (readonly [file: string, source: string])[] = [
  [
    "services/scheduler/src/domain/good.ts",
    `import { AppError } from "@berth/core";\nimport type { Ranking } from "@berth/plugins";\nimport "./other.ts";\nexport type { Ranking };\nexport const f = (now: Date, t: { process: string }) => [new Date(now), t.process, AppError];`,
  ],
  [
    "services/scheduler/src/domain/good.test.ts",
    `import { it } from "vitest";\nit("waits", async () => { await Promise.resolve(Date.now()); });`,
  ],
  [
    "services/scheduler/src/app/good.ts",
    `import "@berth/core";\nimport "@berth/contracts/store";\nimport "@berth/runtime";\nimport "../domain/a.ts";\nimport "../ports/a.ts";`,
  ],
  [
    "services/scheduler/src/main.ts",
    `import "./app/a.ts";\nimport "./adapters/grpc/a.ts";\nimport "@berth/nats";\nimport "node:fs";\nimport "zod";`,
  ],
  [
    "services/scheduler/src/adapters/docker/good.ts",
    `import "dockerode";\nimport "../../ports/a.ts";\nimport "node:fs";`,
  ],
  ["clients/local/src/good.ts", `import "@berth/sdk";\nimport "nice-grpc";\nimport "node:fs";`],
  [
    "clients/cli/src/good.ts",
    `import "@berth/local/layout";\nimport "@berth/sdk";\nimport "commander";\nimport "node:fs";`,
  ],
];

describe("the rules of the tree", () => {
  let dir: string;
  beforeEach(() => void (dir = mkdtempSync(join(realpathSync(tmpdir()), "berth-planted-"))));
  afterEach(() => rmSync(dir, { recursive: true }));

  /** What oxlint says of each planted file. */
  function lint(files: readonly (readonly [string, string, ...unknown[]])[]): ReadonlyMap<string, string> {
    for (const [file, source] of files) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), source);
    }
    // The tree's own configuration, moved, so that its globs are those of the planted folders.
    const config = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as { jsPlugins: string[] };
    config.jsPlugins = config.jsPlugins.map((path) => join(root, path));
    writeFileSync(join(dir, ".oxlintrc.json"), JSON.stringify(config));
    const args = [join(root, "node_modules/oxlint/bin/oxlint"), "--format=json", "-c", ".oxlintrc.json", "."];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir, encoding: "utf8", maxBuffer: 1e8 });
    if (!stdout.startsWith("{")) throw new Error(`oxlint did not run: ${stdout}${stderr}`);
    const { diagnostics } = JSON.parse(stdout) as {
      diagnostics: { filename: string; code: string; message: string; help?: string }[];
    };
    const said = new Map<string, string>();
    for (const { filename, code, message, help = "" } of diagnostics) {
      const file = relative(dir, resolve(dir, filename));
      said.set(file, `${said.get(file) ?? ""}${code} ${message} ${help}\n`);
    }
    return said;
  }

  it("names each planted fault", () => {
    const said = lint(faults);
    for (const [file, , expected] of faults) expect(said.get(file) ?? "nothing", file).toContain(expected);
  });

  it("says nothing of what is well made", () => {
    expect([...lint(wellMade)]).toEqual([]);
  });
});
