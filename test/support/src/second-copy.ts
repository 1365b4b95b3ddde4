import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";

/** A further process of a service that a cluster's supervisor runs, with the same command and environment but for its own addresses; Linux. */
export async function startSecondCopy(pid: number): Promise<{ readonly pid: number } & AsyncDisposable> {
  const words = (name: string): string[] => readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0").filter(Boolean);
  const env = Object.fromEntries(
    words("environ").map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
  for (const name of ["BERTH_LISTEN", "BERTH_METRICS_ADDRESS"])
    env[name] = `${env[name]!.replace(/:\d+$/, ":0").replace(/^(unix:.*)$/, "$1-2")}`;
  const ready = `${env["BERTH_READY_FILE"]}-2`;
  rmSync(ready, { force: true });
  const [command = "", ...args] = words("cmdline");
  const child = spawn(command, args, { env: { ...env, BERTH_READY_FILE: ready }, stdio: "ignore" });
  const gone = once(child, "exit");
  while (!existsSync(ready)) {
    if (child.exitCode !== null) throw new Error(`the second copy ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    pid: child.pid!,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await gone;
    },
  };
}
