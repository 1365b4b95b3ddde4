import { mkdtempSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runName } from "@berth/core";
import { startDockerEngine, whyNoDockerEngine } from "@berth/test-support";
import type { DockerEngine } from "@berth/test-support";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DockerBench } from "./docker-bench.ts";

const why = whyNoDockerEngine();

/** An engine of its own, because it is ended. */
describe.skipIf(why !== undefined && !process.env["CI"])(
  `an engine that goes away${why === undefined ? "" : ` NOT RUN: ${why}`}`,
  () => {
    let engine: DockerEngine;
    let bench: DockerBench;
    const dir = mkdtempSync(join(tmpdir(), "berth-own-engine-"));

    beforeAll(async () => void (engine = await startDockerEngine(join(dir, "engine"))), 60_000);
    afterAll(async () => {
      await engine?.stop();
      expect(readdirSync(dir)).toEqual([]);
      rmdirSync(dir);
    }, 60_000);
    beforeEach(async () => {
      bench = new DockerBench(engine.socketPath);
      await bench.open();
    });
    afterEach(() => bench.dispose());

    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      it(
        `is waited for after ${signal}: what it ended is lost, what waits starts later`,
        { timeout: 90_000 },
        async () => {
          const run = await bench.run("echo before; sleep 600");
          const quick = await bench.run("echo quick");
          await bench.until(run, "started");
          await bench.end(quick);
          while (bench.sink.text(run) !== "before\n") await new Promise((resolve) => setTimeout(resolve, 20));
          await engine.end(signal);
          const waiting = await bench.run("echo later");
          await bench.until(waiting, "preparing");
          await engine.start();
          expect(await bench.end(run)).toMatchObject({ kind: "lost", reason: { code: "ENGINE_RESTARTED" } });
          expect(await bench.end(waiting)).toMatchObject({ kind: "ended", exitCode: 0 });
          expect(bench.sink.text(run)).toBe("before\n");
          expect(bench.sink.text(waiting)).toBe("later\n");
          expect(bench.of(quick).filter(({ kind }) => kind === "ended")).toHaveLength(1);
        },
      );
    }

    it("tells a run's own end that came while the engine was away", { timeout: 90_000 }, async () => {
      const run = await bench.run("trap 'echo bye; exit 9' TERM; echo here; while :; do sleep 0.1; done");
      await bench.until(run, "started");
      while (bench.sink.text(run) !== "here\n") await new Promise((resolve) => setTimeout(resolve, 20));
      await engine.end("SIGTERM");
      await engine.start();
      expect(await bench.end(run)).toMatchObject({ kind: "ended", exitCode: 9 });
      expect(bench.sink.text(run)).toBe("here\nbye\n");
    });
  },
);

/** An engine that leaves containers alone when it ends. */
describe.skipIf(why !== undefined && !process.env["CI"])(
  `an engine with live-restore${why === undefined ? "" : ` NOT RUN: ${why}`}`,
  () => {
    it("goes away under what runs, which runs on and is seen to its end", { timeout: 120_000 }, async () => {
      const dir = mkdtempSync(join(tmpdir(), "berth-live-engine-"));
      const engine = await startDockerEngine(join(dir, "engine"), { liveRestore: true });
      const bench = new DockerBench(engine.socketPath);
      await bench.open();
      try {
        for (const signal of ["SIGTERM", "SIGKILL"] as const) {
          const run = await bench.run("echo here; while [ ! -e go ]; do sleep 0.05; done; echo there; exit 9");
          await bench.until(run, "started");
          while (bench.sink.text(run) !== "here\n") await new Promise((resolve) => setTimeout(resolve, 20));
          await engine.end(signal);
          await engine.start();
          writeFileSync(join(bench.dir, runName(run), "go"), "");
          expect(await bench.end(run)).toMatchObject({ kind: "ended", exitCode: 9 });
          expect(bench.sink.text(run)).toBe("here\nthere\n");
        }
      } finally {
        await bench.dispose();
        await engine.stop();
        rmdirSync(dir);
      }
    });
  },
);
