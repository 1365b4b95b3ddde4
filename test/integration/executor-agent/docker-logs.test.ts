import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { logPath, runName } from "@berth/core";
import Docker from "dockerode";
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

    it("has every byte of long lines, whatever their length, also where the engine's log had to be read", async () => {
      await bench.open();
      const lengths = [16_383, 16_384, 16_385, 20_000, 32_768, 50_000];
      const print = lengths.map((length) => `head -c ${length} /dev/zero | tr '\\0' x; echo; echo short`).join("; ");
      const text = lengths.map((length) => `${"x".repeat(length)}\nshort\n`).join("");
      const run = await bench.run(`${print}; printf '\\377\\n'`);
      const ended = await bench.until(run, "ended");
      expect(ended).toMatchObject({ exitCode: 0, stdoutBytes: text.length + 2 });
      expect(bench.sink.bytes(run).equals(Buffer.from(`${text}\xff\n`, "latin1"))).toBe(true);
      const later = await bench.run(`while [ ! -e go ]; do sleep 0.05; done; ${print}`);
      await bench.until(later, "started");
      await bench.close();
      writeFileSync(join(bench.dir, runName(later), "go"), "");
      await bench.open();
      await bench.end(later);
      expect(bench.sink.text(later)).toBe(text);
    });

    it("loses nothing of a task that prints faster than the engine's log lasts", { timeout: 60_000 }, async () => {
      bench.options = { logBuffer: { maxBytes: 500_000, files: 2 } };
      await bench.open();
      const count = 300_000;
      const run = await bench.run(`seq 1 ${count}; seq 1 ${count} >&2`);
      const ended = await bench.until(run, "ended");
      expect(ended.lostOutput).toBeUndefined();
      expect(bench.sink.text(run) === numbered(count)).toBe(true);
      expect(bench.sink.text(run, "stderr") === numbered(count)).toBe(true);
      expect(ended).toMatchObject({ stdoutBytes: numbered(count).length, stderrBytes: numbered(count).length });
    });

    it(
      "keeps what is printed while the sink takes nothing, though the task ends meanwhile",
      { timeout: 60_000 },
      async () => {
        await bench.open();
        const { promise: free, resolve } = Promise.withResolvers<void>();
        bench.sink.onAppend = () => free;
        const run = await bench.run("seq 1 500000");
        await bench.until(run, "started");
        // The container is not blocked for longer than the engine waits for its output at its end.
        const state = await untilExited(shared.socketPath, runName(run));
        expect(state.ExitCode).toBe(0);
        resolve();
        const ended = await bench.until(run, "ended");
        expect(ended.lostOutput).toBeUndefined();
        expect(ended.stdoutBytes).toBe(numbered(500_000).length);
        expect(bench.sink.text(run) === numbered(500_000)).toBe(true);
      },
    );

    it("finds its place again, though the beginning of the engine's log is gone", { timeout: 60_000 }, async () => {
      bench.options = { logBuffer: { maxBytes: 300_000, files: 3 } };
      await bench.open();
      const run = await bench.run(
        "seq 1 100000; echo e1 >&2; while [ ! -e go ]; do sleep 0.05; done; seq 100001 105000; echo e2 >&2",
      );
      while (bench.sink.text(run, "stderr") !== "e1\n") await wait(20);
      // The log's writing may be behind the live stream, and one output's behind the other's.
      while (!(await lastLogged(shared.socketPath, runName(run))).includes("100000\n")) await wait(20);
      await bench.close();
      writeFileSync(join(bench.dir, runName(run), "go"), "");
      await untilExited(shared.socketPath, runName(run));
      await bench.open();
      const ended = await bench.until(run, "ended");
      expect(ended.lostOutput).toBeUndefined();
      expect(bench.sink.text(run) === numbered(105_000)).toBe(true);
      expect(bench.sink.text(run, "stderr")).toBe("e1\ne2\n");
    });

    it(
      "loses nothing of what is printed faster than its log can be read, after the agent's end too",
      { timeout: 90_000 },
      async () => {
        bench.options = { logBuffer: { maxBytes: 6_000_000, files: 5 } };
        await bench.open();
        const run = await bench.run("seq 1 1000; while [ ! -e go ]; do sleep 0.05; done; seq 1001 1000000", {
          resources: { cpuMilli: 2000, memoryBytes: 64 * 2 ** 20 },
        });
        while (bench.sink.text(run) !== numbered(1000)) await wait(20);
        await bench.close();
        await bench.open();
        await wait(300);
        writeFileSync(join(bench.dir, runName(run), "go"), "");
        const ended = await bench.until(run, "ended");
        expect(ended.lostOutput).toBeUndefined();
        expect(ended.stdoutBytes).toBe(numbered(1_000_000).length);
        expect(bench.sink.text(run) === numbered(1_000_000)).toBe(true);
      },
    );

    it(
      "tells beside the output, not in it, that some was lost while no agent was there",
      { timeout: 60_000 },
      async () => {
        bench.options = { logBuffer: { maxBytes: 50_000, files: 2 } };
        await bench.open();
        const run = await bench.run("seq 1 100; while [ ! -e go ]; do sleep 0.05; done; seq 101 60000");
        while (bench.sink.text(run).length < numbered(100).length) await wait(20);
        await bench.close();
        writeFileSync(join(bench.dir, runName(run), "go"), "");
        await untilExited(shared.socketPath, runName(run));
        await bench.open();
        const ended = await bench.until(run, "ended");
        expect(ended.lostOutput?.stdoutBytes).toBeGreaterThan(0);
        const text = bench.sink.text(run);
        expect(ended.stdoutBytes).toBe(text.length);
        expect(text.startsWith(numbered(100))).toBe(true);
        const after = text.slice(numbered(100).length);
        const first = Number(after.split("\n")[0]);
        expect(first).toBeGreaterThan(101);
        expect(after).toBe(numbered(60_000).slice(numbered(first - 1).length));
      },
    );

    it(
      "lets a container go on that an agent blocked by standing still, once that agent is killed",
      { timeout: 60_000 },
      async () => {
        await bench.open();
        const task = bench.task(["/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.05; done; seq 1 1000000"]);
        await bench.close();
        const options = { socketPath: shared.socketPath, clusterId: bench.clusterId, dir: bench.dir, task };
        const agent = spawn(
          process.execPath,
          [join(import.meta.dirname, "docker-agent-process.ts"), JSON.stringify(options)],
          { stdio: ["ignore", "pipe", "inherit"] },
        );
        for await (const said of stream(agent.stdout)) if (String(said).includes('"kind":"started"')) break;
        agent.kill("SIGSTOP");
        writeFileSync(join(task.taskDir, "go"), "");
        await wait(1500);
        agent.kill("SIGKILL");
        await once(agent, "exit");
        await untilExited(shared.socketPath, runName(task.run));
        await bench.open();
        expect((await bench.until(task.run, "ended")).lostOutput).toBeUndefined();
        expect(bench.sink.text(task.run) === numbered(1_000_000)).toBe(true);
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

/** How a container ended, whoever reads its output. */
async function untilExited(socketPath: string, name: string): Promise<{ ExitCode: number }> {
  for (;;) {
    const { State } = await (new Docker({ socketPath }) as unknown as Inspecting).getContainer(name).inspect();
    if (State.Status === "exited") return State;
    await wait(50);
  }
}
const lastLogged = async (socketPath: string, name: string): Promise<string> => {
  const container = (new Docker({ socketPath }) as unknown as Inspecting).getContainer(name);
  return (await container.logs({ stdout: true, tail: 1 })).toString();
};
interface Inspecting {
  getContainer(name: string): {
    logs(options: object): Promise<Buffer>;
    inspect(): Promise<{ State: { Status: string; ExitCode: number } }>;
  };
}
