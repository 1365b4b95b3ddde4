import { AppError } from "@berth/core";
import type { WatchTasksResponse } from "@berth/contracts/api";
import { Change } from "@berth/contracts/store";
import type { TaskRow, TaskStoreServiceService } from "@berth/contracts/store";
import { TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { backoffMs, sleep, whileHeard } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";

export interface WatchDeps {
  readonly store: Pick<GrpcClient<TaskStoreServiceService>, "changes" | "listTasks">;
  toTask(revision: number, row: TaskRow): Task;
  readonly now: () => number;
  readonly random: () => number;
}

export interface Watched {
  /** Resumes after this token; empty: from now on. */
  readonly token: string;
  /** Only this user's; empty: everybody's. */
  readonly user: string;
  /** Only these tasks, and the elements of these arrays; empty: all. */
  readonly taskIds: readonly string[];
}

/** Longest time between two messages to the client. */
const heartbeatMs = 5_000;
/** The store sends a message every 5 s. If a copy does not for this long, the watch continues at another copy. */
const silenceMs = 12_000;
/** How long the store may be away before the watch fails. The client can resume from its last token. */
const patienceMs = 10 * 60_000;
/** How many ended tasks a watch remembers, so that it reports each end once even if the feed repeats it. */
const rememberedEnds = 10_000;

/** Changes in commit order. The first message comes immediately and has the token. A restart of the store in between is hidden from the reader. */
export async function* watchTasks(
  deps: WatchDeps,
  watched: Watched,
  signal: AbortSignal,
): AsyncGenerator<WatchTasksResponse> {
  const { store, now, random } = deps;
  const wanted = taskFilter(watched.taskIds);
  const ends = new Set<string>();
  let token = watched.token || (await startToken(store, watched.user, signal));
  yield { token, tasks: [], startAgain: false };
  const heard = { signal, silenceMs, service: "storage" };
  let heardAt = now();
  let told = now();
  for (let failures = 0; ; failures++) {
    try {
      const request = { token, user: watched.user, tasksOnly: true };
      for await (const part of whileHeard((stop) => store.changes(request, { signal: stop }), heard)) {
        failures = 0;
        heardAt = now();
        if (part.startAgain) return yield { token: "", tasks: [], startAgain: true };
        const tasks = part.changes.flatMap((bytes) => toTasks(bytes, deps, wanted, ends));
        if (tasks.length > 0 || now() - told >= heartbeatMs / 2) {
          yield { token: part.token, tasks, startAgain: false };
          told = now();
        }
        token = part.token;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      if (AppError.from(thrown).code !== "unavailable" || now() - heardAt > patienceMs) throw thrown;
    }
    await sleep(backoffMs(failures + 1, random, { baseMs: 50, maxMs: 1_000 }), signal);
    if (now() - told >= heartbeatMs) {
      yield { token, tasks: [], startAgain: false };
      told = now();
    }
  }
}

function toTasks(bytes: Uint8Array, deps: WatchDeps, wanted: (id: string) => boolean, ends: Set<string>): Task[] {
  const { revision, row } = Change.decode(bytes);
  if (row?.$case !== "task" || !wanted(row.value.id)) return [];
  if (row.value.state === TaskState.OVER) {
    if (ends.has(row.value.id)) return [];
    if (ends.size >= rememberedEnds) ends.delete(ends.values().next().value!);
    ends.add(row.value.id);
  }
  return [deps.toTask(revision, row.value)];
}

async function startToken(store: WatchDeps["store"], user: string, signal: AbortSignal): Promise<string> {
  const page = await store.listTasks(
    { user, states: [TaskState.PENDING], outcomes: [], name: "", arrayId: "", pageSize: 1, pageToken: "", taskIds: [] },
    { signal },
  );
  return page.watchToken;
}

function taskFilter(ids: readonly string[]): (id: string) => boolean {
  if (ids.length === 0) return () => true;
  const wanted = new Set(ids);
  return (id) => wanted.has(id) || wanted.has(id.split(".", 1)[0]!);
}
