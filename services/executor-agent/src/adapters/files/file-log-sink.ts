import { closeSync, constants, fstatSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { logPath } from "@berth/core";
import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";

type Stream = "stdout" | "stderr";

/** Output put in its final place, where the storage's files are on this machine. Its directory is the agent's own; a link in it is not followed. */
export function fileLogSink(root: string): LogSink {
  const open = (run: Run, stream: Stream): number => {
    const path = join(root, logPath(run, stream));
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    try {
      return openSync(path, flags, 0o600);
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOENT") throw error;
      mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
      return openSync(path, flags, 0o600);
    }
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
