import { AppError } from "@berth/core";
import type { ReadLogRequest, ReadLogResponse, WatchTasksRequest, WatchTasksResponse } from "@berth/contracts/api";
import { LogStream } from "@berth/contracts/store";
import { TaskState } from "@berth/contracts/types";
import { describe, expect, it, vi } from "vitest";
import type { Berth } from "./connect.ts";
import { followTasks, readOutput } from "./follow.ts";

const away = () => new AppError("unavailable", "NO_ANSWER", "gone");

/** One stream a call; an error ends it. */
function streams<Q, R>(scripts: readonly (R | Error)[][]) {
  const asked: Q[] = [];
  return {
    asked,
    async *call(request: Q): AsyncGenerator<R> {
      asked.push(request);
      for (const step of scripts[asked.length - 1] ?? []) {
        if (step instanceof Error) throw step;
        yield step;
      }
    },
  };
}

const piece = (text: string, offset: number, attempt = 1): ReadLogResponse => ({
  stream: LogStream.STDOUT,
  content: Buffer.from(text),
  attempt,
  offset,
  gap: "",
});
const request = { taskId: "1", attempt: 0, stream: LogStream.UNSPECIFIED, follow: true };

async function text(berth: Berth): Promise<string> {
  let all = "";
  for await (const { content } of readOutput(berth, request)) all += Buffer.from(content).toString();
  return all;
}

describe("readOutput", () => {
  it("goes on at the byte where the connection broke", async () => {
    const log = streams<ReadLogRequest, ReadLogResponse>([[piece("ab", 2), away()], [away()], [piece("cd", 4)]]);
    const berth = { tasks: { readLog: log.call, getTask: async () => ({ task: { attempt: 1 } }) } } as unknown as Berth;
    expect(await text(berth)).toBe("abcd");
    expect(log.asked.map(({ stdoutOffset, stderrOffset }) => [stdoutOffset, stderrOffset])).toEqual([
      [0, 0],
      [2, 0],
      [2, 0],
    ]);
  });

  it("starts from the beginning of an attempt that came meanwhile, and of one that follows", async () => {
    const log = streams<ReadLogRequest, ReadLogResponse>([
      [piece("ab", 2), away()],
      [piece("x", 1, 2), piece("y", 1, 3), away()],
      [piece("z", 2, 3)],
    ]);
    const attempts = [2, 3];
    const berth = {
      tasks: { readLog: log.call, getTask: async () => ({ task: { attempt: attempts.shift() } }) },
    } as unknown as Berth;
    expect(await text(berth)).toBe("abxyz");
    expect(log.asked.map(({ stdoutOffset }) => stdoutOffset)).toEqual([0, 0, 1]);
  });

  it("throws what is no outage", async () => {
    const log = streams<ReadLogRequest, ReadLogResponse>([[new AppError("not-found", "TASK_NOT_FOUND", "none")]]);
    await expect(text({ tasks: { readLog: log.call } } as unknown as Berth)).rejects.toMatchObject({
      reason: "TASK_NOT_FOUND",
    });
  });
});

describe("followTasks", () => {
  const message = (token: string, startAgain = false): WatchTasksResponse => ({ token, tasks: [], startAgain });

  it("resumes from the last token it handed on, also where a stream just ends", async () => {
    const watch = streams<WatchTasksRequest, WatchTasksResponse>([
      [message("e.1"), message("e.2"), away()],
      [],
      [message("e.3"), message("", true)],
    ]);
    const tokens = [];
    for await (const { token } of followTasks({ tasks: { watchTasks: watch.call } } as unknown as Berth, {
      token: "e.0",
      user: "",
      taskIds: [],
    }))
      tokens.push(token);
    expect(tokens).toEqual(["e.1", "e.2", "e.3", ""]);
    expect(watch.asked.map(({ token }) => token)).toEqual(["e.0", "e.2", "e.2"]);
  });

  it("tells the end of a task once, also where another gateway tells it again", async () => {
    const over = {
      ...message("e.1"),
      tasks: [
        { id: "7", state: TaskState.OVER },
        { id: "8", state: TaskState.RUNNING },
      ],
    };
    const watch = streams<WatchTasksRequest, WatchTasksResponse>([
      [over as WatchTasksResponse, away()],
      [over as WatchTasksResponse, message("", true)],
    ]);
    const told: string[] = [];
    for await (const { tasks } of followTasks({ tasks: { watchTasks: watch.call } } as unknown as Berth, {
      token: "e.0",
      user: "",
      taskIds: [],
    }))
      told.push(...tasks.map(({ id }) => id));
    expect(told).toEqual(["7", "8", "8"]);
  });

  it("leaves a watch that says nothing, and resumes it", async () => {
    vi.useFakeTimers();
    try {
      const asked: string[] = [];
      async function* call({ token }: WatchTasksRequest, { signal }: { signal: AbortSignal }) {
        asked.push(token);
        if (asked.length === 2) yield message("", true);
        yield message("e.1");
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      }
      const tokens: string[] = [];
      const following = (async () => {
        for await (const { token } of followTasks({ tasks: { watchTasks: call } } as unknown as Berth, {
          token: "e.0",
          user: "",
          taskIds: [],
        }))
          tokens.push(token);
      })();
      await vi.advanceTimersByTimeAsync(16_000);
      await following;
      expect([asked, tokens]).toEqual([
        ["e.0", "e.1"],
        ["e.1", ""],
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("gives up after its patience, and stops when aborted", async () => {
    const watch = streams<WatchTasksRequest, WatchTasksResponse>([[away()], [away()], [away()]]);
    const berth = { tasks: { watchTasks: watch.call } } as unknown as Berth;
    await expect(
      followTasks(berth, { token: "", user: "", taskIds: [] }, { patienceMs: 0 }).next(),
    ).rejects.toMatchObject({ code: "unavailable" });
    const stop = new AbortController();
    const next = followTasks(berth, { token: "", user: "", taskIds: [] }, { signal: stop.signal }).next();
    stop.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
  });
});
