/** What became of standard output, which may be a pipe that its reader closed or a file on a full disk. */
type Loss =
  /** The reader closed the pipe, as `| head` does. */
  { readonly kind: "closed" } | { readonly kind: "failed"; readonly error: NodeJS.ErrnoException };

let loss: Loss | undefined;
let watched = false;
let endsWithOutput = true;
const waiting = new Set<() => void>();

/**
 * Handles errors of standard output and standard error, so that they never end the process with a stack trace. If standard output is lost the process exits
 * with 0 if the reader closed it, else with 1 and a line on standard error. With `goOnWithoutOutput` it continues, because its exit code is not known yet.
 */
export function watchOutput(): void {
  if (watched) return;
  watched = true;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (loss) return;
    loss = error.code === "EPIPE" ? { kind: "closed" } : { kind: "failed", error };
    if (loss.kind === "failed") process.stderr.write(`berth: standard output: ${lossWords(error)}\n`);
    if (endsWithOutput) process.exit(codeWithLoss(0));
    for (const resume of waiting) resume();
  });
  // Ignored: there is no other place to report it.
  process.stderr.on("error", () => {});
}

/** Keeps the process running when standard output is lost, because its exit code will be a task's. Later writes are dropped. */
export function goOnWithoutOutput(): void {
  endsWithOutput = false;
}

/** The exit code of a command that ended with `code`: 1 in place of 0 where output was lost by a fault. */
export const codeWithLoss = (code: number): number => (code === 0 && loss?.kind === "failed" ? 1 : code);

/** Writes to standard output, or to `out`, no faster than it is read; drops what can no longer be written. */
export async function writeOut(content: string | Uint8Array, out: NodeJS.WriteStream = process.stdout): Promise<void> {
  if (out === process.stdout && loss) return;
  if (content.length === 0 || out.write(content)) return;
  await new Promise<void>((resolve) => {
    const resume = (): void => {
      waiting.delete(resume);
      out.off("drain", resume);
      resolve();
    };
    waiting.add(resume);
    out.once("drain", resume);
  });
}

const words: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the device",
  EIO: "input/output error",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be too large",
};

const lossWords = (error: NodeJS.ErrnoException): string =>
  `${words[error.code ?? ""] ?? error.message} (${error.code ?? "unknown"})`;
