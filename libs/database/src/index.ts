export { openSqlite, type Database, type Migration } from "./sqlite.ts";
export { groupCommit, type GroupCommit, type GroupCommitOptions } from "./group-commit.ts";
export { damaged } from "./damage.ts";
export { mongoStartError } from "./mongo-start.ts";
export { singleInstanceLock, type InstanceLock } from "./instance-lock.ts";
