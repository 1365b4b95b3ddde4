import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { logPath } from "@berth/core";
import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";
import { codeOf, ownDirectories, unsafe } from "./own-directories.ts";

type Stream = "stdout" | "stderr";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
const flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;

/** Appends output to its final file, where the storage's files are on this machine. The agent owns the directory and the file. */
export function fileLogSink(root: string): LogSink {
  const self = process.getuid?.();
  const own = ownDirectories(root);
  const open = (run: Run, stream: Stream): number => {
    const path = join(root, logPath(run, stream));
    own.make(dirname(path));
    let file: number;
    try {
      file = openSync(path, flags, 0o600);
    } catch (error) {
      if (codeOf(error) === "ELOOP") throw unsafe(path, "is a symbolic link");
      if (codeOf(error) !== "ENOENT") throw error;
      own.forget();
      own.make(dirname(path));
      file = openSync(path, flags, 0o600);
    }
    const found = fstatSync(file);
    if (found.isFile() && found.uid === self) return file;
    closeSync(file);
    throw unsafe(path, found.isFile() ? `belongs to uid ${found.uid}` : "is not a file");
  };
  const withFile = <T>(run: Run, stream: Stream, fn: (file: number) => T): T => {
    const file = open(run, stream);
    try {
      return fn(file);
    } finally {
      closeSync(file);
    }
  };
  return {
    size: async (run, stream) => withFile(run, stream, (file) => fstatSync(file).size),
    append: async (run, stream, offset, bytes) =>
      withFile(run, stream, (file) => {
        const { size } = fstatSync(file);
        if (size !== offset) return size;
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
        return size + bytes.length;
      }),
  };
}
