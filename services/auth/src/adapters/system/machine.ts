import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { AppError } from "@berth/core";
import { atOnce } from "../at-once.ts";

/** Result of a program. */
export interface Said {
  readonly code: number;
  readonly text: string;
}

/** Runs a program with these arguments and this input. */
export type RunProgram = (program: string, args: readonly string[], input?: Buffer) => Promise<Said>;

/** This machine's users, from its files or from a directory that the machine has joined. */
export interface Machine {
  /** The line of passwd; undefined if there is none. */
  passwd(name: string): Promise<readonly string[] | undefined>;
  /** Numbers of all groups of a user. */
  groupsOf(name: string): Promise<string[]>;
  /** The number of a group. */
  gidOf(group: string): Promise<string | undefined>;
  /** Whether that is the password of a user of /etc/shadow. False too if it cannot be checked. */
  isPassword(name: string, password: string): Promise<boolean>;
  /** Whether the account has expired (`chage -E`). */
  isExpired(name: string): Promise<boolean>;
}

/** PAM's helper, which checks passwords for programs that may not read /etc/shadow. Only root may check another user's. */
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

/** PAM's `PAM_ACCT_EXPIRED`. */
const accountExpired = 13;

/** Why passwords cannot be checked on this machine; undefined if they can. */
export function whyNoPasswords(): string | undefined {
  if (process.getuid?.() !== 0) return "auth does not run as root";
  return checker === undefined ? "there is no unix_chkpwd (Debian: libpam-modules-bin)" : undefined;
}

/** This machine through `getent`, `id` and `unix_chkpwd`. The caller must validate names, because they become arguments. */
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
    child.stdin.on("error", () => {}); // the program may end without reading it
    child.stdin.end(input);
    child.once("error", (cause) =>
      reject(new AppError("unavailable", "USERS_AWAY", `${program} cannot be run`, { cause })),
    );
    child.once("close", (code) => resolve({ code: code ?? -1, text }));
  });

const path = "/usr/sbin:/usr/bin:/sbin:/bin";
