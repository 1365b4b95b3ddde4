import { createReadStream, createWriteStream, renameSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";
import { formatMemory, parseTaskId } from "@berth/core";
import { AddFileResponse, ListFilesResponse } from "@berth/contracts/api";
import type { AddFileRequest } from "@berth/contracts/api";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { note, printJson, printTable } from "../output/print.ts";
import { writeOut } from "../output/stdout.ts";

const pieceBytes = 256 * 1024;
const escapedHelp = "the path is written as ls shows it, with \\xff for bytes that are no text";

export function register(program: Command, caller: Caller): void {
  const files = program
    .command("files")
    .description("Files in a task's directory: what was put there and what the task wrote.");

  files
    .command("ls")
    .description("Lists a directory of a task.")
    .argument("<id>", "as 17 or 17.4")
    .argument("[path]", "a directory in the task's own", "")
    .option("--escaped", escapedHelp)
    .option("--json", "answer in JSON")
    .action(async (id: string, path: string, options: { json?: boolean; escaped?: boolean }) => {
      const wanted = pathOf(path.replace(/\/+$/, ""), options.escaped);
      const answer = await withBerth(caller, (berth) =>
        berth.files.listFiles({ taskId: parseTaskId(id, "id"), ...wanted }),
      );
      if (options.json) return printJson(ListFilesResponse.toJSON(answer));
      if (answer.entries.length === 0) return note("no files");
      printTable(
        [{ title: "SIZE", align: "right" }, { title: "NAME" }],
        answer.entries.map((entry) => [
          entry.directory ? "-" : formatMemory(entry.sizeBytes),
          entry.directory ? `${entry.name}/` : entry.name,
        ]),
      );
      if (answer.truncated) note("and more, which are not shown");
    });

  files
    .command("get")
    .description("Copies a file of a task here.")
    .argument("<id>", "as 17 or 17.4")
    .argument("<path>", "the file in the task's directory")
    .option("-o, --output <file>", "write it there, or to standard output with - (default: its own name, here)")
    .option("--escaped", escapedHelp)
    .action((id: string, path: string, options: { output?: string; escaped?: boolean }) => {
      const wanted = pathOf(path, options.escaped);
      const { pathBytes } = wanted;
      const ownName = pathBytes?.subarray(pathBytes.lastIndexOf("/") + 1) ?? basename(path);
      return withBerth(caller, (berth) =>
        get(berth, { taskId: parseTaskId(id, "id"), ...wanted }, options.output ?? ownName),
      );
    });

  files
    .command("add")
    .description("Copies a file from here to a task's directory, replacing one of that name.")
    .argument("<id>", "as 17 or 17.4")
    .argument("<file>", "the file here")
    .argument("[path]", "its path in the task's directory (default: its name)")
    .option("--escaped", escapedHelp)
    .option("--json", "answer in JSON")
    .action(
      async (id: string, file: string, path: string | undefined, options: { json?: boolean; escaped?: boolean }) => {
        const stat = statSync(file, { throwIfNoEntry: false });
        if (!stat?.isFile()) throw usageError("file", `there is no file ${file} here`);
        const first = {
          taskId: parseTaskId(id, "id"),
          ...pathOf(path ?? basename(file), path !== undefined && options.escaped),
          executable: (stat.mode & 0o111) !== 0,
        };
        const answer = await withBerth(caller, (berth) => berth.files.addFile(pieces(file, first)));
        if (options.json) printJson(AddFileResponse.toJSON(answer));
        else note(`${path ?? basename(file)}: ${answer.sizeBytes} bytes`);
      },
    );
}

/** What the user typed, as text or, with --escaped, as the bytes that it stands for. */
function pathOf(text: string, escaped = false): { readonly path: string; readonly pathBytes?: Buffer } {
  if (!escaped) return { path: text };
  const bytes = text.replaceAll(/\\x([0-9a-f]{2})|[^]/giu, (letter, hex: string | undefined) =>
    hex === undefined ? Buffer.from(letter).toString("latin1") : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return { path: "", pathBytes: Buffer.from(bytes, "latin1") };
}

async function get(
  berth: Berth,
  wanted: { readonly taskId: string; readonly path: string; readonly pathBytes?: Buffer },
  target: string | Buffer,
): Promise<void> {
  const contents = async function* () {
    for await (const piece of berth.files.getFile(wanted)) yield piece.content;
  };
  if (target === "-") {
    for await (const bytes of contents()) await writeOut(bytes);
    return;
  }
  const found = statSync(target, { throwIfNoEntry: false });
  if (found && !found.isFile()) {
    if (found.isDirectory()) throw usageError("--output", `${target} is a directory; name the file in it`);
    // A device or a pipe is written to, never replaced.
    await pipeline(contents, createWriteStream(target));
    return note(`wrote ${target}`);
  }
  // Written under a temporary name and then renamed, because a file cut short looks like a result.
  const part = Buffer.concat([Buffer.from(target), Buffer.from(`.${process.pid}.part`)]);
  try {
    await pipeline(contents, createWriteStream(part));
    renameSync(part, target);
  } finally {
    rmSync(part, { force: true });
  }
  note(`wrote ${String(target)}`);
}

async function* pieces(file: string, first: Omit<AddFileRequest, "content">): AsyncGenerator<AddFileRequest> {
  yield { ...first, content: Buffer.alloc(0) };
  for await (const content of createReadStream(file, { highWaterMark: pieceBytes }))
    yield { ...first, content: content as Buffer };
}
