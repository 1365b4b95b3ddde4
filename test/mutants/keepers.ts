import type { Mutant } from "./mutants.ts";

const folder = "services/executor-agent/src/adapters/process";
const tests = ["test/integration/executor-agent/process-attacks.test.ts"];

/** Of what keeps a run's processes together, and out of each other's reach. */
export const keeperMutants: readonly Mutant[] = [
  {
    name: "keeper-becomes-user",
    what: "a keeper of root becomes its tasks' user for good, and they may stop it",
    file: `${folder}/keeper/main.ts`,
    find: "if (!isRoot) process.setuid?.(identity.uid);",
    replace: "process.setuid?.(identity.uid);",
    tests,
  },
  {
    name: "descriptors-stay",
    what: "what a keeper inherited stays open in it",
    file: `${folder}/keeper/main.ts`,
    find: "\ncloseInherited();\n",
    replace: "\n",
    tests,
  },
  {
    name: "keepers-unwatched",
    what: "nobody notices a keeper that stands still",
    file: `${folder}/keepers.ts`,
    find: "      if (unanswered < stalledPings) continue;",
    replace: "      if (unanswered >= 0) continue;",
    tests,
  },
  {
    name: "signals-die-with-keeper",
    what: "a signal that a dead keeper did not read is lost",
    file: `${folder}/process-driver.ts`,
    find: "      if (signal) orphans.signal(runOfKey(key), signal);\n",
    replace: "",
    tests,
  },
  {
    name: "strays-by-mark-only",
    what: "a daemon without the run's variable is ended with any run of its user",
    file: `${folder}/keeper/process-tree.ts`,
    find: "named === undefined ? older :",
    replace: "named === undefined ? [] :",
    tests,
  },
  {
    name: "rest-of-orphans-stays",
    what: "what a run of a dead keeper left behind lives on",
    file: `${folder}/orphans.ts`,
    find: "    if (cgroup.isEmpty) return false;\n    cgroup.kill();\n    return true;",
    replace: "    return false;",
    tests,
  },
  {
    name: "unrecorded-starts",
    what: "a run is started though its keeper could not record that",
    file: `${folder}/keeper/keeper.ts`,
    find: "    if (error) {\n",
    replace: "    if (error && ready.length < 0) {\n",
    tests,
  },
  {
    name: "moved-child-alone",
    what: "with cgroups of version 2 what a program forked before it was moved stays in the keeper's",
    file: `${folder}/keeper/run-cgroups.ts`,
    find: "found = home.members().filter((pid) => pid !== process.pid))",
    replace: "found = [])",
    tests,
  },
];
