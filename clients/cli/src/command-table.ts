import type { Command } from "commander";
import type { Caller } from "./connection.ts";

/** What a file of `commands/` exports. */
interface CommandFile {
  register(program: Command, caller: Caller): void;
}

interface CommandEntry {
  /** One line of help. */
  readonly summary: string;
  /** Loads the command, because only the called one is loaded. Each import is written out, so that the bundler finds it. */
  load(): Promise<CommandFile>;
}

/** Every command, in the order of help. */
export const commandTable: Readonly<Record<string, CommandEntry>> = {
  up: { summary: "start a cluster on this machine", load: () => import("./commands/up.ts") },
  down: { summary: "stop the cluster of this machine", load: () => import("./commands/down.ts") },
  serve: {
    summary: "run one service of a cluster of several machines",
    load: () => import("./commands/serve.ts"),
  },
  init: {
    summary: "make a cluster of several machines: certificates, accounts, first admin",
    load: () => import("./commands/init.ts"),
  },
  agent: { summary: "make this machine a host of a cluster", load: () => import("./commands/agent.ts") },
  backup: {
    summary: "save databases, credentials and settings of this machine's cluster",
    load: () => import("./commands/backup.ts"),
  },
  restore: { summary: "restore a backup", load: () => import("./commands/restore.ts") },
  demo: { summary: "start a cluster and run a demo on it", load: () => import("./commands/demo.ts") },
  status: {
    summary: "show services, hosts and queue; exit code 0 only if all is well",
    load: () => import("./commands/status.ts"),
  },
  login: { summary: "log in to a cluster, and store a key for it here", load: () => import("./commands/login.ts") },
  run: { summary: "submit a task and follow it; the exit code is the task's", load: () => import("./commands/run.ts") },
  submit: { summary: "submit tasks and return at once", load: () => import("./commands/submit.ts") },
  ls: { summary: "list tasks", load: () => import("./commands/ls.ts") },
  show: { summary: "show everything about a task", load: () => import("./commands/show.ts") },
  logs: { summary: "show the output of a task", load: () => import("./commands/logs.ts") },
  wait: { summary: "wait until tasks are over", load: () => import("./commands/wait.ts") },
  kill: { summary: "kill tasks", load: () => import("./commands/kill.ts") },
  update: { summary: "change how many elements of an array run at once", load: () => import("./commands/update.ts") },
  why: { summary: "show why a task waits", load: () => import("./commands/why.ts") },
  hosts: { summary: "list the hosts", load: () => import("./commands/hosts.ts") },
  host: {
    summary: "let machines join as hosts, revoke hosts, declare one lost",
    load: () => import("./commands/host.ts"),
  },
  files: { summary: "list, get and add files of a task", load: () => import("./commands/files.ts") },
  user: { summary: "add, disable and enable users", load: () => import("./commands/user.ts") },
  key: { summary: "make, list and revoke API keys", load: () => import("./commands/key.ts") },
  volume: { summary: "list directories that tasks may mount", load: () => import("./commands/volume.ts") },
  version: { summary: "show the version of this command", load: () => import("./commands/version.ts") },
};
