import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { AppError } from "@berth/core";
import { atOnce } from "../at-once.ts";

/** What a program said. */
export interface Said {
  readonly code: number;
  readonly text: string;
}

/** Runs a program with these arguments and this input. */
export type RunProgram = (program: string, args: readonly string[], input?: Buffer) => Promise<Said>;

/** This machine's users, as its own programs know them: files, or a directory that the machine is joined to. */
export interface Machine {
  /** The line of passwd; undefined where there is none. */
  passwd(name: string): Promise<readonly string[] | undefined>;
  /** Numbers of all groups of a user. */
  groupsOf(name: string): Promise<string[]>;
  /** The number of a group. */
  gidOf(group: string): Promise<string | undefined>;
  /** Whether that is the password of a user of /etc/shadow. False also where it cannot be asked. */
  isPassword(name: string, password: string): Promise<boolean>;
  /** Whether the account has come to its end (`chage -E`). */
  isExpired(name: string): Promise<boolean>;
}

/** PAM's own helper, by which programs that may not read /etc/shadow prove passwords. For users other than the caller only root may ask it. */
const checker = ["/usr/sbin/unix_chkpwd", "/sbin/unix_chkpwd"].find((path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/** Limit of concurrent programs that verify passwords. */
const proofsAtOnce = 4;
const proofsWaiting = 100;

/** Of PAM: `PAM_ACCT_EXPIRED`. */
const accountExpired = 13;

/** Why passwords cannot be proved here; undefined where they can. */
export function whyNoPasswords(): string | undefined {
  if (process.getuid?.() !== 0) return "auth does not run as root";
  return checker === undefined ? "there is no unix_chkpwd (Debian: libpam-modules-bin)" : undefined;
}

/** The machine behind `getent`, `id` and `unix_chkpwd`. Names must be checked before: they become arguments. */
export function thisMachine(run: RunProgram = runProgram): Machine {
  async function entry(database: "passwd" | "group", key: string): Promise<readonly string[] | undefined> {
    const { code, text } = await run("getent", [database, key]);
    if (code === 2) return undefined;
    if (code !== 0) throw new AppError("unavailable", "USERS_AWAY", `getent ${database} ended with ${code}`);
    return text.split("\n", 1)[0]!.split(":");
  }
  const proving = atOnce(proofsAtOnce, proofsWaiting);
  return {
    passwd: (name) => entry("passwd", name),
    async groupsOf(name) {
      const { code, text } = await run("id", ["-G", name]);
      if (code !== 0) throw new AppError("unavailable", "USERS_AWAY", `id -G ended with ${code}`);
      return text.trim().split(/\s+/);
    },
    gidOf: async (group) => (await entry("group", group))?.[2],
    async isPassword(name, password) {
      if (checker === undefined || password.includes("\0")) return false;
      const said = await proving(() => run(checker, [name, "nonull"], Buffer.from(`${password}\0`)));
      return said.code === 0;
    },
    isExpired: async (name) =>
      checker !== undefined && (await run(checker, [name, "chkexpiry"])).code === accountExpired,
  };
}

const timeoutMs = 10_000;

const runProgram: RunProgram = (program, args, input) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"], timeout: timeoutMs, env: { PATH: path } });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.stdin.on("error", () => {}); // it need not read
    child.stdin.end(input);
    child.once("error", (cause) =>
      reject(new AppError("unavailable", "USERS_AWAY", `${program} cannot be run`, { cause })),
    );
    child.once("close", (code) => resolve({ code: code ?? -1, text }));
  });

const path = "/usr/sbin:/usr/bin:/sbin:/bin";
