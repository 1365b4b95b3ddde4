import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, logPath, taskDir } from "@berth/core";
import type { Run } from "@berth/core";
import type { DriverEvent, LogSink } from "@berth/plugins";
import { silentLogger } from "@berth/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { uploadOutput } from "./upload-output.ts";

const run: Run = { epoch: "e", taskId: "17", attempt: 1 };
const ended: DriverEvent = {
  kind: "ended",
  run,
  startedAt: new Date(0),
  at: new Date(1),
  exitCode: 0,
  signal: undefined,
  outOfMemory: false,
  usage: { cpuMs: 0, peakMemoryBytes: undefined },
  stdoutBytes: 0,
  stderrBytes: 0,
};

/** A storage that loses every third answer, and now and then is away. */
class Store implements LogSink {
  readonly texts = { stdout: "", stderr: "" };
  calls = 0;
  async size(_run: Run, stream: "stdout" | "stderr"): Promise<number> {
    return this.texts[stream].length;
  }
  async append(_run: Run, stream: "stdout" | "stderr", offset: number, bytes: Uint8Array): Promise<number> {
    this.calls += 1;
    if (this.calls % 4 === 0) throw new AppError("unavailable", "PEER_UNAVAILABLE", "away");
    if (offset === this.texts[stream].length) this.texts[stream] += Buffer.from(bytes).toString();
    if (this.calls % 3 === 0) throw new AppError("unavailable", "DEADLINE_EXCEEDED", "answer lost");
    return this.texts[stream].length;
  }
}

describe("uploadOutput", () => {
  let root: string;
  let stop: AbortController;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-upload-"));
    stop = new AbortController();
    mkdirSync(join(root, taskDir(run.taskId)), { recursive: true });
  });
  afterEach(() => {
    stop.abort();
    rmSync(root, { recursive: true });
  });
  const print = (text: string) => appendFileSync(join(root, logPath(run, "stdout")), text);

  it("stores each byte once and in order, before the end is told, over a storage that fails", async () => {
    const sink = new Store();
    const make = () => uploadOutput({ root, sink, logger: silentLogger, signal: stop.signal, everyMs: 5 });
    const started: DriverEvent = { kind: "started", run, at: new Date(0) };
    const first = make();
    expect(first([started], () => {})).toEqual([started]);
    const text = Array.from({ length: 60_000 }, (_, n) => `line ${n}\n`).join("");
    print(text.slice(0, 300_000));
    while (sink.texts.stdout.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    // The agent dies, and comes back.
    stop.abort();
    stop = new AbortController();
    const second = make();
    second([{ kind: "found", run, startedAt: new Date(0), suspended: false }], () => {});
    print(text.slice(300_000));
    const told = Promise.withResolvers<DriverEvent>();
    expect(second([ended], told.resolve)).toEqual([]);
    expect(await told.promise).toBe(ended);
    expect(sink.texts.stdout).toBe(text);
    expect(sink.texts.stderr).toBe("");
  });

  /** What is stored of a run that ends with `prepare` done to its output. */
  async function storedOf(prepare: (path: string) => void): Promise<string> {
    const sink = new Store();
    prepare(join(root, logPath(run, "stdout")));
    const told = Promise.withResolvers<DriverEvent>();
    uploadOutput({ root, sink, logger: silentLogger, signal: stop.signal, everyMs: 5 })([ended], told.resolve);
    await told.promise;
    return sink.texts.stdout;
  }

  it("sends no file that a link leads to", async () => {
    const secret = join(root, "secret");
    writeFileSync(secret, "not the task's");
    expect(await storedOf((path) => symlinkSync(secret, path))).toBe("");
    expect(readFileSync(secret, "utf8")).toBe("not the task's");
  });

  it.runIf(process.getuid?.() === 0)("sends only what the owner of the task's directory wrote", async () => {
    chownSync(join(root, taskDir(run.taskId)), 20_001, 20_001);
    expect(
      await storedOf((path) => {
        writeFileSync(path, "another's");
        chownSync(path, 20_002, 20_002);
      }),
    ).toBe("");
    expect(
      await storedOf((path) => {
        writeFileSync(path, "its own");
        chownSync(path, 20_001, 20_001);
      }),
    ).toBe("its own");
  });

  it("waits for free descriptors before it tells the end of a task that printed", () => {
    print("result");
    // A process of its own: with few descriptors no test runner works.
    const program = `
      import { closeSync, openSync } from "node:fs";
      const { uploadOutput } = await import(${JSON.stringify(join(import.meta.dirname, "upload-output.ts"))});
      const sink = { size: async () => 0, append: async (run, stream, offset, bytes) => (text += Buffer.from(bytes), offset + bytes.length) };
      const logger = { debug() {} };
      const { root, ended } = JSON.parse(process.argv[1]);
      const taken = [];
      let text = "";
      try { for (;;) taken.push(openSync("/dev/null")); } catch {}
      const deliver = uploadOutput({ root, sink, logger, signal: new AbortController().signal, everyMs: 5 });
      let free = false;
      deliver([ended], () => process.stdout.write(JSON.stringify({ free, text })));
      setTimeout(() => { free = true; taken.forEach((file) => closeSync(file)); }, 50);
    `;
    const { stdout, stderr } = spawnSync(
      "sh",
      [
        "-c",
        'ulimit -n 100; exec "$0" "$@"',
        process.execPath,
        "--input-type=module",
        "-e",
        program,
        JSON.stringify({ root, ended }),
      ],
      { encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({ free: true, text: "result" });
  });

  it("makes no call for a task that wrote nothing", async () => {
    const sink = new Store();
    const told = Promise.withResolvers<DriverEvent>();
    uploadOutput({ root, sink, logger: silentLogger, signal: stop.signal })([ended], told.resolve);
    await told.promise;
    expect(sink.calls).toBe(0);
  });
});
