import type { Command } from "commander";
import { mergeWishes, readers } from "./task-wish.ts";
import type { TaskWish, WishKey } from "./task-wish.ts";

const options: Readonly<Record<WishKey, readonly [value: string, help: string]>> = {
  name: ["<name>", "name, for people (default: the command's first word)"],
  project: ["<project>", 'who is charged (default: "default")'],
  image: ["<image>", "container image (default: the site's)"],
  cpu: ["<n>", "processors, as 0.5, 2 or 500m (default: 1)"],
  mem: ["<size>", "memory, as 512M or 2G (default: 256M)"],
  time: ["<time>", "end it after this long, as 90s, 10m or 1h30m (default: the site's)"],
  grace: ["<time>", "time between TERM and KILL"],
  env: ["<K=V>", "environment variable; K alone takes its value here (repeatable)"],
  volume: ["<name[:ro]>", "mount a volume of the site (repeatable)"],
  array: ["<range>", "an element for each index, as 20, 1-20, 1-20:2 or 1-20%5 (at most 5 at once)"],
  after: ["<ids>", "start when these are over (repeatable)"],
  afterok: ["<ids>", "start when these have succeeded (repeatable)"],
  workdir: ["<path>", "working directory (default: the task's own)"],
  priority: ["<n>", "-100 to 100, higher first among your own tasks"],
  network: ["<kind>", "none or bridge (default: none)"],
  "on-host-lost": ["<what>", "wait for a host that is not heard, retry elsewhere, or fail (default: wait)"],
  "host-lease": ["<time>", "how long it runs on unheard before that; then it is frozen (default: the site's, 15m)"],
};

/** Adds the options of a task to a command. The function that is returned gives all that were parsed, merged. */
export function addTaskOptions(
  command: Command,
  fieldOf: (option: string) => string = (option) => option,
): () => TaskWish {
  let wish: TaskWish = {};
  for (const [key, [value, help]] of Object.entries(options) as [WishKey, readonly [string, string]][]) {
    command.option(`--${key} ${value}`, help, (text: string) => {
      wish = mergeWishes(wish, readers[key](text, fieldOf(`--${key}`)));
      return text;
    });
  }
  return () => wish;
}

/** Whether a word is an option of Berth, to warn if one follows the command. */
export const isTaskOption = (word: string): boolean => {
  const match = /^--([a-z-]+)(=|$)/.exec(word);
  return match !== null && (Object.hasOwn(options, match[1]!) || match[1] === "dry-run");
};
