import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { rolldown as Rolldown } from "rolldown";
import type { BundleManifest } from "./src/fresh-bundle.ts";
import { fromSource } from "./src/from-source.ts";

/** Bundles the program of `berth`, so that it starts in half the time. `npm ci` runs it; without the bundler (a production install) nothing is made. */
const root = resolve(import.meta.dirname, "../..");
/** Beside `src`, so that paths relative to `clients/cli` are the same from both. */
const dist = resolve(process.argv[2] ?? join(import.meta.dirname, "dist"));

const bundler = await import("rolldown").catch(() => undefined);
if (bundler) await bundle(bundler.rolldown);
else process.stderr.write("berth: rolldown is not installed, so the command is not bundled\n");

async function bundle(rolldown: typeof Rolldown): Promise<void> {
  const sources = new Set<string>();
  const build = await rolldown({
    input: join(import.meta.dirname, "src/program.ts"),
    platform: "node",
    // main.ts loads these from their source.
    external: [new RegExp(`/commands/(${[...fromSource].join("|")})\\.ts$`)],
    plugins: [{ name: "sources", moduleParsed: ({ id }) => void (id.startsWith(root) && sources.add(id)) }],
  });
  // Each bundle has its own directory, because a running command may still load parts of its bundle.
  const name = `bundle-${process.pid}-${Date.now()}`;
  mkdirSync(join(dist, name), { recursive: true });
  // CommonJS, because `import` of a built-in module first copies all its exports.
  const { output } = await build.write({
    dir: join(dist, name),
    format: "cjs",
    entryFileNames: "[name].cjs",
    chunkFileNames: "[name]-[hash].cjs",
  });
  await build.close();
  const program = output.find((file) => file.type === "chunk" && file.isEntry)!;
  // Packages change only at an installation, which rewrites their list.
  const ours = [...sources].filter((path) => !path.includes("/node_modules/"));
  const inputs = [...ours, join(root, "node_modules/.package-lock.json"), join(import.meta.dirname, "package.json")];
  const manifest: BundleManifest = {
    program: join(name, program.fileName),
    inputs: inputs.map((path) => {
      const { size, mtimeMs } = statSync(path);
      return [relative(root, path), size, mtimeMs];
    }),
  };
  const draft = join(dist, `${name}.json`);
  writeFileSync(draft, JSON.stringify(manifest));
  renameSync(draft, join(dist, "manifest.json"));
  for (const old of readdirSync(dist))
    if (old !== name && old.startsWith("bundle-")) rmSync(join(dist, old), { recursive: true });
}
