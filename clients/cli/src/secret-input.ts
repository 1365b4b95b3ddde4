import { createInterface } from "node:readline";
import { Writable } from "node:stream";

/** One line of standard input; on a terminal it is asked for and not shown. */
export async function readSecretLine(prompt: string): Promise<string> {
  const terminal = process.stdin.isTTY === true;
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  if (terminal) process.stderr.write(prompt);
  const lines = createInterface({ input: process.stdin, output: terminal ? mute : undefined, terminal });
  try {
    // Ctrl-C here is a change of mind.
    lines.on("SIGINT", () => process.exit(130));
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
    if (terminal) process.stderr.write("\n");
  }
}

/** One line, shown as it is typed; empty where nobody can be asked. */
export async function readLine(prompt: string): Promise<string> {
  if (process.stdin.isTTY !== true) return "";
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<string>((resolve) => lines.question(prompt, resolve));
  } finally {
    lines.close();
  }
}
