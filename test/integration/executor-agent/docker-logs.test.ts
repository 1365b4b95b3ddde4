import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { logPath } from "@berth/core";
import { sharedDockerEngine, whyNoDockerEngine } from "@berth/test-support";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DockerBench } from "./docker-bench.ts";

const why = whyNoDockerEngine();
const lines = 200_000;
/** In four parts of many bursts; each but the first waits for the test's word. */
const printLines = (count: number): string =>
  `i=0; for part in 0 1 2 3; do while [ ! -e go$part ]; do sleep 0.05; done;
   while [ $i -lt $(( (part + 1) * ${count} / 4 )) ]; do seq $((i + 1)) $((i + 2000)); i=$((i + 2000)); sleep 0.02; done; done`;
const numbered = (count: number): string => `${Array.from({ length: count }, (_, n) => n + 1).join("\n")}\n`;

describe.skipIf(why !== undefined && !process.env["CI"])(
  `output of containers${why === undefined ? "" : ` NOT RUN: ${why}`}`,
  () => {
    let shared: Awaited<ReturnType<typeof sharedDockerEngine>>;
    let bench: DockerBench;

    beforeAll(async () => void (shared = await sharedDockerEngine()));
    afterAll(() => shared?.release());
    beforeEach(() => void (bench = new DockerBench(shared.socketPath)));
    afterEach(() => bench.dispose());

    it(
      `has each of ${lines} lines once and in order, over three deaths of the agent`,
      { timeout: 120_000 },
      async () => {
        await bench.open();
        const task = bench.task(["/bin/sh", "-c", printLines(lines)], {
          resources: { cpuMilli: 2000, memoryBytes: 64 * 2 ** 20 },
        });
        // The bench finds and ends what the killed processes leave.
        await bench.close();
        const options = { socketPath: shared.socketPath, clusterId: bench.clusterId, dir: bench.dir };
        const output = join(bench.dir, logPath(task.run, "stdout").replaceAll("/", "_"));
        const sizes: number[] = [];
        for (let life = 0; life < 4; life += 1) {
          const agent = spawn(
            process.execPath,
            [
              join(import.meta.dirname, "docker-agent-process.ts"),
              JSON.stringify(life === 0 ? { ...options, task } : options),
            ],
            {
              stdio: ["ignore", "pipe", "inherit"],
            },
          );
          const exit = once(agent, "exit");
          if (life < 3) {
            // At a moment when it is at work: some way further than the last one came.
            const from = sizes.at(-1) ?? 0;
            writeFileSync(join(task.taskDir, `go${life}`), "");
            while (sizeOf(output) < from + 80_000) await wait(5);
          } else {
            writeFileSync(join(task.taskDir, `go${life}`), "");
            await untilEnded(agent.stdout);
          }
          agent.kill("SIGKILL");
          await exit;
          sizes.push(sizeOf(output));
        }
        expect(sizes[2]).toBeLessThan(sizes[3]!);
        const text = readFileSync(output, "utf8");
        expect(text.length).toBe(numbered(lines).length);
        expect(text === numbered(lines)).toBe(true);
        expect(readFileSync(join(bench.dir, "ended"), "utf8")).toBe(`${text.length}\n`);
        await bench.open();
        await bench.end(task.run);
      },
    );

    it("goes on where a closed driver stopped, though its last notes were lost", async () => {
      await bench.open();
      const run = await bench.run("seq 1 5000; sleep 1.5; seq 5001 10000; printf end");
      while (bench.sink.text(run).length < numbered(5000).length) await wait(20);
      await bench.close();
      bench.positions.clear();
      await bench.open();
      await bench.end(run);
      expect(bench.sink.text(run)).toBe(`${numbered(10_000)}end`);
    });

    it("keeps both streams apart, whatever the order they were written in", async () => {
      await bench.open();
      const run = await bench.run("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; echo e$i >&2; done");
      await bench.end(run);
      expect(bench.sink.text(run)).toBe(numbered(3000));
      expect(bench.sink.text(run, "stderr")).toBe(numbered(3000).replace(/^/gm, "e").slice(0, -1));
    });

    it("goes on after its sink failed for a while", async () => {
      await bench.open();
      let failures = 0;
      bench.sink.onAppend = () => {
        if (failures++ < 3) throw new Error("no room");
      };
      const run = await bench.run("seq 1 1000; sleep 1; seq 1001 2000");
      await bench.end(run);
      expect(failures).toBeGreaterThan(3);
      expect(bench.sink.text(run)).toBe(numbered(2000));
    });

    it("marks what a buffer that is too small has lost, and loses nothing else", { timeout: 60_000 }, async () => {
      bench.options = { logBuffer: { maxBytes: 50_000, files: 2 } };
      await bench.open();
      const run = await bench.run("seq 1 100; sleep 1.5; seq 101 60000; sleep 1; seq 60001 60100");
      while (bench.sink.text(run).length < numbered(100).length) await wait(20);
      await bench.close();
      await wait(1500);
      await bench.open();
      await bench.end(run);
      const text = bench.sink.text(run);
      const [before, mark, after] = split(text);
      expect(before).toBe(numbered(100));
      expect(mark).toMatch(
        /^\[berth: output of [\d.]+ s is missing here, from \S+Z to \S+Z, an unknown number of lines/,
      );
      const first = Number(after.split("\n")[0]);
      expect(first).toBeGreaterThan(101);
      expect(after).toBe(numbered(60_100).slice(numbered(first - 1).length));
    });

    it(
      "loses nothing without a mark, where a task prints faster than its small buffer lasts",
      { timeout: 60_000 },
      async () => {
        bench.options = { logBuffer: { maxBytes: 20_000, files: 2 } };
        await bench.open();
        const count = 50_000;
        const run = await bench.run(`seq 1 ${count}`);
        const ended = await bench.until(run, "ended");
        const text = bench.sink.text(run);
        expect(text.length).toBe(ended.stdoutBytes);
        expect(text).toContain("[berth: output may be missing here");
        expect(isHonest(text, count)).toBe(true);
      },
    );

    it(
      "follows a task that prints faster than its small buffer lasts, and tells what the engine skipped",
      { timeout: 60_000 },
      async () => {
        bench.options = { logBuffer: { maxBytes: 20_000, files: 2 } };
        await bench.open();
        const count = 100_000;
        const run = await bench.run(`seq 1 10; sleep 1; seq 11 ${count - 10}; sleep 1; seq ${count - 9} ${count}`);
        const ended = await bench.until(run, "ended");
        const text = bench.sink.text(run);
        expect(text.length).toBe(ended.stdoutBytes);
        expect(text.startsWith(numbered(10))).toBe(true);
        expect(isHonest(text, count)).toBe(true);
      },
    );
  },
);

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

async function untilEnded(stdout: NodeJS.ReadableStream): Promise<void> {
  let said = "";
  for await (const chunk of stream(stdout)) {
    said += String(chunk);
    if (said.includes('"kind":"ended"')) return;
  }
}
const stream = (readable: NodeJS.ReadableStream): AsyncIterable<unknown> => readable;

function split(text: string): [string, string, string] {
  const at = text.indexOf("[berth:");
  const end = text.indexOf("\n", at) + 1;
  return [text.slice(0, at), text.slice(at, end), text.slice(end)];
}

/** Numbers rise by one, but across a mark; a mark that tells a number tells all that are missing since the mark before. */
function isHonest(text: string, last: number): boolean {
  let expected = 1;
  let missing = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    const told = /^\[berth: (?:(\d+) lines)?/.exec(line);
    if (told) {
      missing = told[1] === undefined ? Infinity : missing - Number(told[1]);
      continue;
    }
    const number = Number(line);
    if (number < expected) return false;
    if (missing !== Infinity) missing += number - expected;
    else if (number !== expected) missing = 0;
    expected = number + 1;
  }
  return expected === last + 1 && (missing <= 0 || missing === Infinity);
}
