/** Commands that work on this machine. They load services and find files relative to their source, so they are not in the bundle. */
export const fromSource: ReadonlySet<string> = new Set([
  "up",
  "down",
  "serve",
  "demo",
  "init",
  "agent",
  "backup",
  "restore",
]);
