/** Name of a task that was given none: the command's first word without its directory, in the letters a name may have. */
export function defaultTaskName(command: readonly string[]): string {
  const word = (command[0] ?? "script").split("/").findLast((part) => part !== "") ?? "task";
  const plain = word.replaceAll(/[^A-Za-z0-9._-]+/g, "_").slice(0, 128);
  return plain === "" ? "task" : plain;
}
