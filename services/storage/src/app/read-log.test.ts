import { describe, expect, it } from "vitest";
import type { OutputStream } from "../ports/file-store.ts";
import type { LogState } from "../ports/task-store.ts";
import { readLog } from "./read-log.ts";
import type { LogRequest } from "./read-log.ts";

/** A task whose output and state a test changes; time moves only by waiting for the next commit. */
class Scene {
  nowMs = 0;
  state: LogState | undefined = { attempt: 1, over: false, archived: false, sizes: undefined, uid: 1, gid: 1 };
  readonly logs = new Map<string, string>();
  /** What happens while the reader waits, one after the other. */
  readonly meanwhile: (() => void)[] = [];
  waits = 0;

  write(text: string, attempt = 1, stream: OutputStream = "stdout"): void {
    const key = `${attempt}.${stream}`;
    this.logs.set(key, (this.logs.get(key) ?? "") + text);
  }

  end(stdout: number | undefined, attempt = 1): void {
    this.state = {
      ...this.state!,
      attempt,
      over: true,
      sizes: stdout === undefined ? undefined : { stdout, stderr: 0 },
    };
  }

  async read(wishes: Partial<LogRequest> = {}): Promise<string[]> {
    const request: LogRequest = {
      taskId: "17",
      attempt: 0,
      streams: ["stdout", "stderr"],
      follow: true,
      offsets: { stdout: 0, stderr: 0 },
      ...wishes,
    };
    const deps = {
      store: {
        epoch: "e",
        logState: async () => this.state,
        nextCommit: async () => {
          this.nowMs += 100;
          if (++this.waits > 1_000) throw new Error("waits for ever");
          this.meanwhile.shift()?.();
        },
      },
      files: {
        readLog: async (
          run: { attempt: number },
          stream: OutputStream,
          _owner: unknown,
          offset: number,
          atMost: number,
        ) => Buffer.from(this.logs.get(`${run.attempt}.${stream}`) ?? "").subarray(offset, offset + atMost),
      },
      now: () => this.nowMs,
    };
    const told: string[] = [];
    for await (const { stream, content, attempt, gap } of readLog(deps, request, new AbortController().signal)) {
      told.push(
        gap !== ""
          ? `gap: ${gap}`
          : content.length === 0
            ? `attempt ${attempt}`
            : `${stream} ${Buffer.from(content).toString()}`,
      );
    }
    return told;
  }
}

describe("readLog", () => {
  it("gives what is there and ends, where it does not follow", async () => {
    const scene = new Scene();
    scene.write("out");
    scene.write("err", 1, "stderr");
    expect(await scene.read({ follow: false })).toEqual(["stdout out", "stderr err"]);
    expect(await scene.read({ follow: false, streams: ["stderr"], offsets: { stdout: 0, stderr: 1 } })).toEqual([
      "stderr rr",
    ]);
    expect(await scene.read({ follow: false, attempt: 7 })).toEqual([]);
  });

  it("follows until the task is over and all that it wrote is here", async () => {
    const scene = new Scene();
    scene.meanwhile.push(
      () => scene.write("one "),
      () => scene.end(8),
      () => scene.write("two "),
    );
    expect(await scene.read()).toEqual(["stdout one ", "stdout two "]);
    expect(scene.waits).toBe(3);
  });

  it("ends at once for a task that is over and wrote nothing", async () => {
    const scene = new Scene();
    scene.end(0);
    expect(await scene.read()).toEqual([]);
    scene.end(undefined); // lost: nobody knows what it wrote
    scene.write("some");
    expect(await scene.read()).toEqual(["stdout some"]);
    expect(scene.waits).toBe(0);
  });

  it("gives up on output that does not come for ten seconds, and says how much is missing", async () => {
    const scene = new Scene();
    scene.write("half");
    scene.end(10);
    expect(await scene.read()).toEqual(["stdout half", "gap: 6 bytes of output are missing"]);
    expect(scene.nowMs).toBe(10_000);
    const growing = new Scene();
    growing.end(4);
    for (let i = 0; i < 4; i++)
      growing.meanwhile.push(...Array.from({ length: 98 }, () => () => {}), () => growing.write("x"));
    expect(await growing.read()).toEqual(["stdout x", "stdout x", "stdout x", "stdout x"]);
  });

  it("waits for a task that was not begun", async () => {
    const scene = new Scene();
    scene.state = { ...scene.state!, attempt: 0 };
    scene.meanwhile.push(
      () => {
        scene.state = { ...scene.state!, attempt: 1 };
        scene.write("hello");
      },
      () => scene.end(5),
    );
    expect(await scene.read()).toEqual(["stdout hello"]);
    expect(await scene.read({ offsets: { stdout: 2, stderr: 0 } })).toEqual(["stdout llo"]);
  });

  it("goes on with a new attempt from its beginning, after the rest of the one before", async () => {
    const scene = new Scene();
    scene.write("first");
    scene.meanwhile.push(() => {
      scene.write(" end");
      scene.write("second", 2);
      scene.end(6, 2);
    });
    expect(await scene.read()).toEqual(["stdout first", "stdout  end", "attempt 2", "stdout second"]);
    expect(await scene.read({ attempt: 1 })).toEqual(["stdout first end"]); // an attempt that was asked for is the only one
  });

  it("does not know a task that is not there", async () => {
    const scene = new Scene();
    scene.state = undefined;
    await expect(scene.read()).rejects.toMatchObject({ code: "not-found", reason: "TASK_NOT_FOUND" });
  });
});
