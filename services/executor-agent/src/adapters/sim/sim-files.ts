import type { TaskFiles } from "../../ports/task-files.ts";

const nowhere = { taskDir: "/sim", arrayDir: "/sim", stdoutPath: "/dev/null", stderrPath: "/dev/null" };

/** Virtual tasks have no files. */
export const simFiles: TaskFiles = {
  prepare: () => nowhere,
  writeScript: () => ({ controlDir: "/sim", path: "/sim/script" }),
  dropScript: () => {},
  keepScripts: () => {},
};
