import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { delimiter, join } from "node:path";

export interface NatsServer {
  /** `127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it at once, as a crash would, and waits for its end. */
  kill(): Promise<void>;
}

export interface NatsOptions {
  /** For its configuration; made where it is missing, and may be wiped while it runs. */
  readonly dir: string;
  /** A free one without it. */
  readonly port?: number;
  readonly user: string;
  readonly password: string;
  /** More lines of nats-server's configuration. */
  readonly config?: string;
}

/** The real server; undefined where this machine has none. */
export const natsServerPath = (): string | undefined =>
  [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"]
    .map((dir) => join(dir, "nats-server"))
    .find((path) => existsSync(path));

/** Starts a nats-server on loopback; resolves once it takes connections. */
export async function startNats({ dir, port = -1, user, password, config = "" }: NatsOptions): Promise<NatsServer> {
  const path = natsServerPath();
  if (!path) throw new Error("no nats-server on the PATH");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, "nats.conf");
  const lines = [
    "host: 127.0.0.1",
    `port: ${port}`,
    "max_payload: 8MB",
    `authorization { user: ${JSON.stringify(user)}, password: ${JSON.stringify(password)} }`,
    config,
  ];
  writeFileSync(file, lines.join("\n"), { mode: 0o600 });
  const child = spawn(path, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  const bound = await listening(child);
  return {
    url: `127.0.0.1:${bound}`,
    port: bound,
    pid: child.pid!,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
  };
}

/** Reads the port from the server's own log, the only place where it says it. */
function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      const port = /Listening for client connections on [^\s]+:(\d+)/.exec(log)?.[1];
      if (port && log.includes("Server is ready")) {
        child.stderr!.removeAllListeners("data").resume();
        resolve(Number(port));
      }
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`nats-server ended with ${code}:\n${log}`)));
  });
}
