import { watchOutput } from "./output/stdout.ts";

/** Nothing heavy is imported before it is known what is asked: `berth version` takes as long as Node takes to start. */
watchOutput();
const [first, ...rest] = process.argv.slice(2);

if ((first === "version" || first === "--version" || first === "-V") && rest.every((word) => word === "--json")) {
  const { printVersion } = await import("./version.ts");
  printVersion(rest.length > 0);
} else if (first === undefined) {
  const { guide } = await import("./guide.ts");
  process.stdout.write(guide);
} else {
  const { runProgram } = await import("./program.ts");
  await runProgram(process.argv.slice(2));
}
