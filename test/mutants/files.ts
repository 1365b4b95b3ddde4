import type { Mutant } from "./mutants.ts";

const hostile = ["services/storage/src/adapters/disk/hostile-files.test.ts"];
const beneath = "services/storage/src/adapters/disk/beneath.ts";
const agentFiles = "services/executor-agent/src/adapters/files";

/** Of files that a hostile user's directories lead to. */
export const fileMutants: readonly Mutant[] = [
  {
    name: "files-follow-links",
    what: "a directory that is a link is walked through",
    file: beneath,
    find: "await openDirectory(dir.at(name), O_NOFOLLOW)",
    replace: "await openDirectory(dir.at(name), 0)",
    tests: hostile,
  },
  {
    name: "output-follows-links",
    what: "log-files: a file of output that is a link is opened",
    file: beneath,
    find: "flags | O_NOFOLLOW | O_NONBLOCK",
    replace: "flags | O_NONBLOCK",
    tests: hostile,
  },
  {
    name: "output-of-any-kind",
    what: "log-files: what is no regular file is read",
    file: beneath,
    find: "if (!stats.isFile())",
    replace: "if (stats.isDirectory())",
    tests: hostile,
  },
  {
    name: "files-of-anyone",
    what: "a file is read whoever owns it",
    file: beneath,
    find: "if (uids && !uids.includes(stats.uid)) throw",
    replace: "if (uids?.length === 99) throw",
    tests: hostile,
  },
  {
    name: "directories-of-anyone",
    what: "a directory is walked through whoever owns it",
    file: beneath,
    find: "if (uids && !uids.includes(uid)) throw",
    replace: "if (uids?.length === 99) throw",
    tests: hostile,
  },
  {
    name: "files-on-any-device",
    what: "a user's mount is walked into",
    file: beneath,
    find: "if (next.device === dir.device) return next;",
    replace: "if (next.device !== -1) return next;",
    tests: hostile,
  },
  {
    name: "removal-by-path",
    what: "a task's files are removed by path",
    file: "services/storage/src/adapters/disk/disk-file-store.ts",
    find: "await removeTree(dir, name);",
    replace: `await (await import("node:fs/promises")).rm(join(root, path), { recursive: true, force: true });`,
    tests: ["test/integration/storage/removal-race.test.ts"],
  },
  {
    name: "live-drafts-removed",
    what: "a draft that is still written to is removed",
    file: "services/storage/src/adapters/disk/file-drafts.ts",
    find: "if (!stats || stats.mtimeMs >= before.getTime()) continue;",
    replace: "if (!stats) continue;",
    tests: hostile,
  },
  {
    name: "upload-of-anyone",
    what: "upload-output: output is sent whoever owns the file",
    file: `${agentFiles}/upload-output.ts`,
    find: "if (!found.isFile() || found.uid !== owner)",
    replace: "if (!found.isFile())",
    tests: [`${agentFiles}/upload-output.test.ts`],
  },
  {
    name: "upload-follows-links",
    what: "upload-output: output that is a link is sent",
    file: `${agentFiles}/upload-output.ts`,
    find: "constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK",
    replace: "constants.O_RDONLY | constants.O_NONBLOCK",
    tests: [`${agentFiles}/upload-output.test.ts`],
  },
  {
    name: "sink-follows-links",
    what: "file-log-sink: output is appended to what a link leads to",
    file: `${agentFiles}/file-log-sink.ts`,
    find: "O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK",
    replace: "O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK",
    tests: [`${agentFiles}/file-log-sink.test.ts`],
  },
  {
    name: "sink-of-anyone",
    what: "file-log-sink: output is appended to a file of another",
    file: `${agentFiles}/file-log-sink.ts`,
    find: "if (found.isFile() && found.uid === self) return file;",
    replace: "if (found.isFile()) return file;",
    tests: [`${agentFiles}/file-log-sink.test.ts`],
  },
  {
    name: "user-owns-what-is-walked",
    what: "an agent leaves to a user a directory that an earlier one gave away",
    file: `${agentFiles}/own-directories.ts`,
    find: "chownSync(path, 0, 0);",
    replace: "",
    tests: [`${agentFiles}/local-files.test.ts`],
  },
];
