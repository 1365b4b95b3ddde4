/** Default name of a task: the command's first word without its directory, reduced to the characters that a name may have. */
export function defaultTaskName(command: readonly string[]): string {
  const word = (command[0] ?? "script").split("/").findLast((part) => part !== "") ?? "task";
  const plain = word.replaceAll(/[^A-Za-z0-9._-]+/g, "_").slice(0, 128);
  return plain === "" ? "task" : plain;
}
