import { AppError } from "@berth/core";
import { Change, TaskRow } from "@berth/contracts/store";
import type { ChangesRequest, ChangesResponse } from "@berth/contracts/store";
import { Outcome, TaskState } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";
import { rowToTask } from "./public-task.ts";
import { watchTasks } from "./watch.ts";
import type { WatchDeps } from "./watch.ts";

const row = (revision: number, id: string, state: TaskState): Uint8Array =>
  Change.encode({
    revision,
    row: {
      $case: "task",
      value: TaskRow.fromPartial({
        id,
        user: "anna",
        name: "n",
        state,
        outcome: state === TaskState.OVER ? Outcome.SUCCEEDED : Outcome.UNSPECIFIED,
      }),
    },
  }).finish();
const part = (token: string, ...changes: Uint8Array[]): ChangesResponse => ({
  token,
  changes: changes.map((c) => Buffer.from(c)),
  startAgain: false,
});
const away = () => new AppError("unavailable", "PEER_UNAVAILABLE", "storage does not answer");

/** Streams of the store, one a call; an error ends a stream. */
function storeOf(streams: (ChangesResponse | Error)[][]): { deps: WatchDeps; asked: ChangesRequest[] } {
  const asked: ChangesRequest[] = [];
  const store = {
    listTasks: async () => ({ tasks: [], nextPageToken: "", watchToken: "e.7" }),
    async *changes(request: ChangesRequest) {
      asked.push(request);
      for (const step of streams[asked.length - 1] ?? [AppError.received("internal", "TEST_OVER", "no more streams")]) {
        if (step instanceof Error) throw step;
        yield step;
      }
    },
  } as unknown as WatchDeps["store"];
  return { deps: { store, toTask: rowToTask, now: () => performance.now(), random: () => 0 }, asked };
}

async function collect(deps: WatchDeps, watched: Partial<Parameters<typeof watchTasks>[1]> = {}) {
  const messages = [];
  try {
    for await (const message of watchTasks(
      deps,
      { token: "", user: "anna", taskIds: [], ...watched },
      new AbortController().signal,
    ))
      messages.push(message);
  } catch (error) {
    if (AppError.from(error).reason !== "TEST_OVER") throw error;
  }
  return messages;
}

describe("watchTasks", () => {
  it("tells at once from where it watches, then changes with their tokens", async () => {
    const { deps, asked } = storeOf([[part("e.8", row(8, "1", TaskState.RUNNING))]]);
    const messages = await collect(deps);
    expect(messages.map((m) => [m.token, m.tasks.map((t) => `${t.id} ${t.state}`)])).toEqual([
      ["e.7", []],
      ["e.8", ["1 TASK_STATE_RUNNING"]],
    ]);
    expect(asked[0]).toEqual({ token: "e.7", user: "anna", tasksOnly: true });
  });

  it("goes on by token when the store went away, so that its reader notices nothing", async () => {
    const { deps, asked } = storeOf([
      [part("e.8", row(8, "1", TaskState.RUNNING)), away()],
      [away()],
      [], // a server that stops may end a stream without an error
      [part("e.9", row(9, "1", TaskState.OVER))],
    ]);
    const messages = await collect(deps, { token: "e.7" });
    expect(messages.flatMap((m) => m.tasks.map((t) => t.state))).toEqual([TaskState.RUNNING, TaskState.OVER]);
    expect(asked.map((request) => request.token)).toEqual(["e.7", "e.8", "e.8", "e.8", "e.9"]);
  });

  it("tells the end of a task once", async () => {
    const { deps } = storeOf([
      [part("e.8", row(8, "1", TaskState.OVER), row(9, "1", TaskState.OVER)), away()],
      [part("e.10", row(10, "1", TaskState.OVER), row(11, "2", TaskState.OVER))],
    ]);
    expect((await collect(deps)).flatMap((m) => m.tasks.map((t) => t.id))).toEqual(["1", "2"]);
  });

  it("shows only what was asked for, elements with their array", async () => {
    const rows = ["1", "17", "17.4", "170", "170.1"].map((id, n) => row(n, id, TaskState.RUNNING));
    const { deps } = storeOf([[part("e.20", ...rows)]]);
    expect((await collect(deps, { taskIds: ["17", "170.1"] })).flatMap((m) => m.tasks.map((t) => t.id))).toEqual([
      "17",
      "17.4",
      "170.1",
    ]);
  });

  it("says to start again where the token is of another database, and ends", async () => {
    const { deps } = storeOf([[{ token: "", changes: [], startAgain: true }]]);
    expect((await collect(deps, { token: "old.3" })).at(-1)).toEqual({ token: "", tasks: [], startAgain: true });
  });

  it("throws what is no outage", async () => {
    const { deps } = storeOf([[new AppError("invalid", "BAD_TOKEN", "no token of ours")]]);
    await expect(collect(deps, { token: "x" })).rejects.toMatchObject({ reason: "BAD_TOKEN" });
  });
});
