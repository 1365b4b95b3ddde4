import { createInterface } from "node:readline";
import { Writable } from "node:stream";

/** Reads one line of standard input; on a terminal it prompts and does not echo. */
export async function readSecretLine(prompt: string): Promise<string> {
  const terminal = process.stdin.isTTY === true;
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  if (terminal) process.stderr.write(prompt);
  const lines = createInterface({ input: process.stdin, output: terminal ? mute : undefined, terminal });
  try {
    // Ctrl-C at the prompt cancels the command.
    lines.on("SIGINT", () => process.exit(130));
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
    if (terminal) process.stderr.write("\n");
  }
}

/** Prompts for one line and echoes it; empty if standard input is not a terminal. */
export async function readLine(prompt: string): Promise<string> {
  if (process.stdin.isTTY !== true) return "";
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<string>((resolve) => lines.question(prompt, resolve));
  } finally {
    lines.close();
  }
}
