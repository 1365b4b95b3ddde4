import { join, resolve } from "node:path";
import { freshBundle } from "./fresh-bundle.ts";
import type { runProgram } from "./program.ts";

/** Commands about this machine: they load services and find files beside their source, so they are not in the bundle. */
const fromSource = new Set(["up", "down", "serve", "demo", "init", "agent"]);

// Nothing heavy is imported before it is known what is asked: `berth version` takes as long as Node takes to start.
const args = process.argv.slice(2);
const [first, ...rest] = args;

if ((first === "version" || first === "--version" || first === "-V") && rest.every((word) => word === "--json")) {
  const { printVersion } = await import("./version.ts");
  printVersion(rest.length > 0);
} else if (first === undefined) {
  const { printGuide } = await import("./guide.ts");
  printGuide();
} else {
  const program = await loadProgram();
  await program.runProgram(args);
}

async function loadProgram(): Promise<{ runProgram: typeof runProgram }> {
  // The command may stand behind `help` or `--server ADDRESS`.
  const mayBundle = !args.slice(0, 3).some((word) => fromSource.has(word));
  const bundle = mayBundle
    ? freshBundle(join(import.meta.dirname, "../dist"), resolve(import.meta.dirname, "../../.."))
    : undefined;
  return bundle === undefined ? import("./program.ts") : ((await import(bundle)) as { runProgram: typeof runProgram });
}
