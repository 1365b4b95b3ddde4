/** Every command, in the order of help. A command lives in `commands/<name>.ts`, which exports `register(program)` and is loaded only when it is called. */
export const commandTable: Readonly<Record<string, string>> = {
  up: "start a cluster on this machine, or find it up",
  down: "stop it",
  serve: "run one service here, for a cluster of several machines",
  demo: "bring a cluster up and run a demo on real input",
  status: "services, hosts and queue; exit code 0 only if all is well",
  login: "keep a key for a server on this machine",
  run: "submit a task and follow it; exit code is the task's",
  submit: "submit tasks and return",
  ls: "list tasks",
  show: "everything known of a task",
  logs: "what a task wrote",
  wait: "wait until tasks are over",
  kill: "end tasks",
  update: "change how much of an array runs at once",
  why: "why a task waits",
  hosts: "the machines",
  host: "declare a machine lost that will not come back",
  files: "list, get and add files of a task",
  user: "add users",
  key: "make, list and revoke API keys",
  volume: "directories that tasks may mount",
  version: "version of this command",
};

export const isCommand = (name: string): boolean => Object.hasOwn(commandTable, name);
