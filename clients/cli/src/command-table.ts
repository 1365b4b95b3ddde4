import type { Command } from "commander";
import type { Caller } from "./connection.ts";

/** What a file of `commands/` exports. */
interface CommandFile {
  register(program: Command, caller: Caller): void;
}

interface CommandEntry {
  /** One line of help. */
  readonly summary: string;
  /** Only the command that is called is loaded. Written out for each, so that a bundler finds them. */
  load(): Promise<CommandFile>;
}

/** Every command, in the order of help. */
export const commandTable: Readonly<Record<string, CommandEntry>> = {
  up: { summary: "start a cluster on this machine, or find it up", load: () => import("./commands/up.ts") },
  down: { summary: "stop it", load: () => import("./commands/down.ts") },
  serve: {
    summary: "run one service here, for a cluster of several machines",
    load: () => import("./commands/serve.ts"),
  },
  init: {
    summary: "make certificates, bus accounts and the first admin of a cluster of several machines",
    load: () => import("./commands/init.ts"),
  },
  agent: { summary: "make this machine a host of a cluster", load: () => import("./commands/agent.ts") },
  backup: {
    summary: "save databases, credentials and settings of this machine's cluster",
    load: () => import("./commands/backup.ts"),
  },
  restore: { summary: "put a backup back", load: () => import("./commands/restore.ts") },
  demo: { summary: "bring a cluster up and run a demo on real input", load: () => import("./commands/demo.ts") },
  status: {
    summary: "services, hosts and queue; exit code 0 only if all is well",
    load: () => import("./commands/status.ts"),
  },
  login: { summary: "keep a key for a server on this machine", load: () => import("./commands/login.ts") },
  run: { summary: "submit a task and follow it; exit code is the task's", load: () => import("./commands/run.ts") },
  submit: { summary: "submit tasks and return", load: () => import("./commands/submit.ts") },
  ls: { summary: "list tasks", load: () => import("./commands/ls.ts") },
  show: { summary: "everything known of a task", load: () => import("./commands/show.ts") },
  logs: { summary: "what a task wrote", load: () => import("./commands/logs.ts") },
  wait: { summary: "wait until tasks are over", load: () => import("./commands/wait.ts") },
  kill: { summary: "end tasks", load: () => import("./commands/kill.ts") },
  update: { summary: "change how much of an array runs at once", load: () => import("./commands/update.ts") },
  why: { summary: "why a task waits", load: () => import("./commands/why.ts") },
  hosts: { summary: "the machines", load: () => import("./commands/hosts.ts") },
  host: { summary: "let machines join, revoke them, declare one lost", load: () => import("./commands/host.ts") },
  files: { summary: "list, get and add files of a task", load: () => import("./commands/files.ts") },
  user: { summary: "add users", load: () => import("./commands/user.ts") },
  key: { summary: "make, list and revoke API keys", load: () => import("./commands/key.ts") },
  volume: { summary: "directories that tasks may mount", load: () => import("./commands/volume.ts") },
  version: { summary: "version of this command", load: () => import("./commands/version.ts") },
};
