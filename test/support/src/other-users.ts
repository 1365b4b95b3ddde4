import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Files of a machine's users: ada, ben, an admin (grace), one whose account has expired (dan), and one of the system (daemon). Passwords are name, dash, `secret`. */
export function writeUsers(dir: string): void {
  const people = ["ada", "ben", "grace", "dan"];
  const hash = (name: string): string =>
    execFileSync("openssl", ["passwd", "-6", "-stdin"], { input: `${name}-secret\n`, encoding: "utf8" }).trim();
  const files = {
    passwd: [
      "root:x:0:0:root:/root:/bin/sh",
      "daemon:x:1:1::/:/bin/sh",
      ...people.map((name, n) => `${name}:x:${5001 + n}:5000::/home/${name}:/bin/sh`),
    ],
    group: ["root:x:0:", "people:x:5000:", "genomics:x:6001:ada,ben", "berth-admins:x:6002:grace"],
    shadow: [
      "root:*:19000:0:99999:7:::",
      `daemon:${hash("daemon")}:19000:0:99999:7:::`,
      ...people.map((name) => `${name}:${hash(name)}:19000:0:99999:7::${name === "dan" ? 19001 : ""}:`),
    ],
  };
  for (const [name, lines] of Object.entries(files))
    writeFileSync(join(dir, name), `${lines.join("\n")}\n`, { mode: name === "shadow" ? 0o600 : 0o644 });
}

/** Runs a program, as root, in a mount namespace where the files of `dir` stand in for this machine's users. */
export const runWith =
  (dir: string) =>
  async (program: string, args: readonly string[], input?: Buffer): Promise<{ code: number; text: string }> => {
    const mounts = ["passwd", "group", "shadow"].map((name) => `mount --bind ${join(dir, name)} /etc/${name}`);
    const child = spawn("unshare", ["-m", "sh", "-c", `${mounts.join(" && ")} && exec "$@"`, "sh", program, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [code] = (await once(child, "close")) as [number];
    return { code, text };
  };
