import { Command, CommanderError } from "commander";
import { commandTable } from "./command-table.ts";
import type { Caller } from "./connection.ts";
import { exitCodeFor, finish, printError } from "./exit.ts";
import { doubtfulVariables } from "@berth/local/setting-names";
import { note } from "./output/print.ts";
import { watchOutput } from "./output/stdout.ts";
import { checkArguments } from "./task-input/utf8.ts";
import { version } from "./version.ts";

/** Runs one command to its end and exits. */
export async function runProgram(given: readonly string[]): Promise<never> {
  watchOutput();
  const { server, args } = takeServer(given);
  for (const doubt of doubtfulVariables(process.env)) note(`berth: ${doubt}`);
  try {
    checkArguments(args);
    const called = (args[0] === "help" ? args[1] : args[0]) ?? "";
    const program = await makeProgram(called, { server, env: process.env });
    await program.parseAsync([...args], { from: "user" });
    return await finish(process.exitCode === undefined ? 0 : Number(process.exitCode));
  } catch (thrown) {
    // Commander throws for help and version too, with exit code 0. It has printed any other error, a usage error, already.
    if (thrown instanceof CommanderError) return await finish(thrown.exitCode === 0 ? 0 : 2);
    printError(thrown, args.includes("--json"));
    return await finish(exitCodeFor(thrown));
  }
}

/** Takes `--server` from before the command. It holds for every command and replaces BERTH_SERVER. */
function takeServer(args: readonly string[]): {
  readonly server: string | undefined;
  readonly args: readonly string[];
} {
  const [first = "", second] = args;
  const joined = first.startsWith("--server=");
  const server = joined ? first.slice("--server=".length) : first === "--server" ? second : undefined;
  return server ? { server, args: args.slice(joined ? 1 : 2) } : { server: undefined, args };
}

/** Registers every command by name, so that help lists it and a mistyped name finds the nearest. Loads only the command that is called. */
async function makeProgram(called: string, caller: Caller): Promise<Command> {
  const program = new Command("berth")
    .description("Batch scheduler for shared machines. `berth` alone shows examples.")
    .version(version(), "-V, --version")
    .option(
      "--server <addresses>",
      "gateways of the cluster, as host:port,host:port (default: BERTH_SERVER, or what login kept)",
    )
    .enablePositionalOptions()
    .showHelpAfterError("(berth --help lists all commands)")
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "berth: ")) });
  for (const [name, { summary, load }] of Object.entries(commandTable)) {
    if (name === called) (await load()).register(program, caller);
    else
      program
        .command(name)
        .description(summary)
        .allowUnknownOption()
        .action(() => {});
  }
  inheritFrom(program);
  return program;
}

/** Copies settings to every command: `command()` inherits only settings made before it, and our commands are registered by their own files. */
function inheritFrom(program: Command): void {
  for (const command of program.commands) {
    command.copyInheritedSettings(program);
    command.showHelpAfterError(`(berth ${fullName(command)} --help shows its options)`);
    inheritFrom(command);
  }
}

const fullName = (command: Command): string =>
  command.parent?.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
