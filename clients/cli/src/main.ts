import { join, resolve } from "node:path";
import { freshBundle } from "./fresh-bundle.ts";
import { fromSource } from "./from-source.ts";
import type { runProgram } from "./program.ts";

// Imports nothing large before the command is known, so that `berth version` takes as long as the start of Node.
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
  // The command may follow `help` or `--server ADDRESS`.
  const mayBundle = !args.slice(0, 3).some((word) => fromSource.has(word));
  const bundle = mayBundle
    ? freshBundle(join(import.meta.dirname, "../dist"), resolve(import.meta.dirname, "../../.."))
    : undefined;
  return bundle === undefined ? import("./program.ts") : ((await import(bundle)) as { runProgram: typeof runProgram });
}
