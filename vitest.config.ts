import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/longest-first.ts";

/** Projects stand inline, with `extends: true`: a root `isolate` is not handed on to projects found by a pattern. */
const project = (name: string, include: string[], test: object = {}) => ({
  extends: true as const,
  test: { name, include, ...test },
});

/** Suites that start servers: three files at a time, each in a process of its own. They wait for most of their time, so that two cores are not too few. */
const slow = { pool: "forks" as const, maxWorkers: 3, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    exclude: ["**/node_modules/**"],
    sequence: { sequencer: LongestFirst },
    projects: [
      // One module graph for all files: two hundred small files take 2 s instead of 25.
      project(
        "unit",
        ["libs/**/*.test.ts", "services/**/*.test.ts", "clients/**/*.test.ts", "test/support/**/*.test.ts"],
        {
          isolate: false,
          testTimeout: 15_000,
        },
      ),
      project("sim", ["test/sim/**/*.test.ts"], { isolate: false, testTimeout: 60_000 }),
      project("repo", ["test/repo/**/*.test.ts"], { testTimeout: 60_000 }),
      project("contract", ["test/contract/**/*.test.ts"], slow),
      project("integration", ["test/integration/**/*.test.ts"], slow),
      project("faults", ["test/faults/**/*.test.ts"], { ...slow, testTimeout: 300_000, hookTimeout: 120_000 }),
      project("e2e", ["test/e2e/**/*.test.ts"], { ...slow, testTimeout: 180_000, hookTimeout: 120_000 }),
    ],
  },
});
