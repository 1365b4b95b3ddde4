import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError, logPath, runKey, taskDir } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent, LogSink } from "@berth/plugins";
import type { AgentDeps } from "../../app/agent-deps.ts";
import type { Logger } from "../../ports/logger.ts";
import { codeOf, ownDirectories } from "./own-directories.ts";

const streams = ["stdout", "stderr"] as const;
type Stream = (typeof streams)[number];

interface Upload {
  readonly run: Run;
  /** Bytes that storage has; undefined before the first answer. */
  readonly stored: Partial<Record<Stream, number>>;
  /** The run's end, held back until all of its output is stored. */
  end: { readonly event: DriverEvent; readonly tell: (event: DriverEvent) => void } | undefined;
  busy: boolean;
}

export interface UploadOptions {
  /** Root of the directories in which tasks write their output on this host. */
  readonly root: string;
  readonly sink: LogSink;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

const pieceBytes = 256 * 1024;

/**
 * Sends output from this host to a storage on another one while it grows, and tells a run's end only when all of its output is stored. Each append names its offset, so
 * that a retry stores nothing twice; after a restart storage's answer says where to continue.
 */
export function uploadOutput({ root, sink, logger, signal, everyMs = 500 }: UploadOptions): AgentDeps["deliver"] {
  const uploads = new Map<string, Upload>();
  const own = ownDirectories(root);
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener("abort", () => clearTimeout(timer));

  function follow(run: Run): Upload {
    const key = runKey(run);
    const present = uploads.get(key);
    if (present) return present;
    const upload: Upload = { run, stored: {}, end: undefined, busy: false };
    uploads.set(key, upload);
    arm();
    return upload;
  }

  function arm(): void {
    if (timer !== undefined || uploads.size === 0 || signal.aborted) return;
    timer = setTimeout(() => {
      timer = undefined;
      for (const upload of uploads.values()) void send(upload);
      arm();
    }, everyMs);
  }

  async function send(upload: Upload): Promise<void> {
    if (upload.busy || signal.aborted) return;
    upload.busy = true;
    try {
      const { end } = upload;
      for (const stream of streams) await sendStream(upload, stream);
      if (!end) return;
      uploads.delete(runKey(upload.run));
      end.tell(end.event);
      for (const stream of streams) rmSync(join(root, logPath(upload.run, stream)), { force: true });
    } catch (error) {
      logger.debug("output could not be uploaded; trying again", { task: upload.run.taskId, error });
    } finally {
      upload.busy = false;
    }
    if (upload.end && uploads.has(runKey(upload.run))) arm();
  }

  /** Uid of the task's directory; undefined where a level of the path is not the agent's. */
  function ownerOf(run: Run): number | undefined {
    try {
      own.make(dirname(join(root, logPath(run, "stdout"))));
    } catch (error) {
      if (error instanceof AppError) return undefined;
      throw error;
    }
    return lstatSync(join(root, taskDir(run.taskId)), { throwIfNoEntry: false })?.uid;
  }

  async function sendStream({ run, stored }: Upload, stream: Stream): Promise<void> {
    for (;;) {
      const offset = stored[stream] ?? 0;
      const bytes = readPiece(join(root, logPath(run, stream)), offset, ownerOf(run));
      if (bytes.length === 0) return;
      // The answer is the stored size. It is larger than ours after a restart of the agent, or when an answer was lost.
      stored[stream] = await sink.append(run, stream, offset, bytes);
    }
  }

  return (events, later) => {
    const now: DriverEvent[] = [];
    for (const event of events) {
      if (event.kind === "ended" || event.kind === "lost") {
        const upload = follow(event.run);
        upload.end = { event, tell: later };
        void send(upload);
      } else {
        if (event.kind === "started" || event.kind === "found") follow(event.run);
        now.push(event);
      }
    }
    return now;
  };
}

/** Reads a piece of a regular file that belongs to `owner`. Follows no symbolic link; a hard link to another user's file fails the check of the owner. */
function readPiece(path: string, offset: number, owner: number | undefined): Uint8Array {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isHostFault(error)) throw error; // the output exists: try again
    return new Uint8Array(); // the task wrote nothing, or made its output unreadable
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile() || found.uid !== owner) return new Uint8Array();
    const bytes = Buffer.allocUnsafe(pieceBytes);
    return bytes.subarray(0, readSync(file, bytes, 0, pieceBytes, offset));
  } finally {
    closeSync(file);
  }
}

/** Errors of this host that pass, and that no task can cause for a file of its own. */
const hostFaults: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM"]);
const isHostFault = (error: unknown): boolean => hostFaults.has(codeOf(error));
