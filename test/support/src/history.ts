/** What a client was told. Times are of one monotonic clock, in milliseconds. */
export type Observation =
  | {
      readonly kind: "submit";
      readonly toldAt: number;
      readonly requestId: string;
      /** Same text: the same spec. */
      readonly spec: string;
      /** Undefined where it was refused. */
      readonly taskId: string | undefined;
      readonly refusal: string | undefined;
    }
  | {
      readonly kind: "read";
      readonly askedAt: number;
      readonly toldAt: number;
      readonly taskId: string;
      readonly view: View;
    }
  | {
      readonly kind: "event";
      readonly watch: string;
      readonly toldAt: number;
      readonly taskId: string;
      readonly view: View;
    };

/** A task as somebody saw it. */
export interface View {
  readonly state: string;
  readonly attempt: number;
  /** Where over. */
  readonly outcome: string | undefined;
}

/** A line that a task wrote outside Berth. */
export interface LedgerLine {
  readonly taskId: string;
  readonly attempt: number;
  readonly mark: "start" | "end";
  /** Of the machine's clock, in milliseconds. */
  readonly at: number;
}

/** A task as the store says at the end. */
export interface Stored extends View {
  readonly taskId: string;
  readonly exitCode: number | undefined;
}

export interface History {
  readonly told: readonly Observation[];
  /** Undefined: its tasks write nothing. */
  readonly wrote: readonly LedgerLine[] | undefined;
  /** Everything that the store has. */
  readonly stored: readonly Stored[];
  /** Counts by state, as the store says. */
  readonly counts: Readonly<Record<string, number>>;
  /** Watches that began before the first submit and ended after the last end. */
  readonly wholeWatches: readonly string[];
  /** How many runs may go on at the same time on the host; undefined: not looked at. */
  readonly capacity?: number;
  /** Submits whose answer may be lost make tasks that nobody was told of; false: there were none. */
  readonly mayHaveUntold: boolean;
}

/** What is wrong with a history, in words; empty if nothing is. */
export function faultsOf(history: History): string[] {
  return [
    ...submits(history),
    ...ends(history),
    ...order(history),
    ...watches(history),
    ...runs(history),
    ...overlaps(history),
    ...overCapacity(history),
    ...counters(history),
  ];
}

/** Acknowledged is there; a request id is one task; another spec under it is a conflict. */
function submits({ told, stored, mayHaveUntold }: History): string[] {
  const found: string[] = [];
  const there = new Set(stored.map(({ taskId }) => taskId));
  const tasks = new Map<string, { taskId: string; spec: string }>();
  const keys = new Map<string, string>();
  for (const one of told) {
    if (one.kind !== "submit" || one.taskId === undefined) continue;
    if (!there.has(one.taskId)) found.push(`${one.taskId} was acknowledged for ${one.requestId} and is not there`);
    const first = tasks.get(one.requestId);
    if (!first) tasks.set(one.requestId, { taskId: one.taskId, spec: one.spec });
    else if (first.spec !== one.spec) found.push(`${one.requestId} was accepted with another spec`);
    else if (first.taskId !== one.taskId) found.push(`${one.requestId} is ${first.taskId} and ${one.taskId}`);
    const key = keys.get(one.taskId);
    if (key !== undefined && key !== one.requestId) found.push(`${one.taskId} is of ${key} and of ${one.requestId}`);
    keys.set(one.taskId, one.requestId);
  }
  const untold = [...there].filter((id) => !keys.has(id.split(".", 1)[0]!) && !keys.has(id));
  if (!mayHaveUntold && untold.length > 0) found.push(`${untold.length} tasks were made by no submit, as ${untold[0]}`);
  return found;
}

/** What was told of an end is what the store says. */
function ends({ told, stored }: History): string[] {
  const found: string[] = [];
  const byId = new Map(stored.map((task) => [task.taskId, task]));
  for (const one of told) {
    if (one.kind === "submit" || one.view.state !== "over") continue;
    const task = byId.get(one.taskId);
    if (task?.state !== "over" && task?.state !== "archived")
      found.push(`${one.taskId} was told to be over and is ${task?.state ?? "not there"}`);
    else if (task.outcome !== one.view.outcome || task.attempt !== one.view.attempt)
      found.push(
        `${one.taskId} was told ${one.view.outcome} in attempt ${one.view.attempt} and is ${task.outcome} in attempt ${task.attempt}`,
      );
  }
  return found;
}

/** Whoever asks after an answer sees nothing older: over stays over, attempts never go back. */
function order({ told }: History): string[] {
  const found: string[] = [];
  const reads = told.filter((one) => one.kind === "read").toSorted((a, b) => a.askedAt - b.askedAt);
  const answered = told
    .filter((one) => one.kind === "read" || one.kind === "event")
    .toSorted((a, b) => a.toldAt - b.toldAt);
  const known = new Map<string, { over: boolean; attempt: number }>();
  let next = 0;
  for (const read of reads) {
    for (let one = answered[next]; one && one.toldAt < read.askedAt; one = answered[++next]) {
      const before = known.get(one.taskId) ?? { over: false, attempt: 0 };
      const over = before.over || one.view.state === "over" || one.view.state === "archived";
      known.set(one.taskId, { over, attempt: Math.max(before.attempt, one.view.attempt) });
    }
    const before = known.get(read.taskId);
    if (before?.over && read.view.state !== "over" && read.view.state !== "archived")
      found.push(`${read.taskId} was over and then ${read.view.state}`);
    if (before && read.view.attempt < before.attempt)
      found.push(`${read.taskId} was in attempt ${before.attempt} and then in ${read.view.attempt}`);
  }
  return found;
}

/** One end a task and watch; none missing in a watch that saw everything. */
function watches({ told, stored, wholeWatches }: History): string[] {
  const found: string[] = [];
  const ended = new Map<string, Map<string, number>>(wholeWatches.map((watch) => [watch, new Map()]));
  for (const one of told) {
    if (one.kind !== "event" || one.view.state !== "over") continue;
    const seen = ended.get(one.watch) ?? new Map<string, number>();
    ended.set(one.watch, seen.set(one.taskId, (seen.get(one.taskId) ?? 0) + 1));
  }
  for (const [watch, seen] of ended) {
    for (const [taskId, times] of seen) if (times > 1) found.push(`watch ${watch} told ${times} ends of ${taskId}`);
    if (!wholeWatches.includes(watch)) continue;
    const missing = stored.filter((task) => task.state === "over" && !seen.has(task.taskId));
    if (missing.length > 0)
      found.push(`watch ${watch} told no end of ${missing.length} tasks, as ${missing[0]!.taskId}`);
  }
  return found;
}

const key = (taskId: string, attempt: number): string => `${taskId} attempt ${attempt}`;

/** Each run starts once; what ended by itself ran once to its end, in its last attempt; nothing runs that is not there. */
function runs({ wrote, stored }: History): string[] {
  if (!wrote) return [];
  const found: string[] = [];
  const starts = new Map<string, number>();
  const wholes = new Map<string, number[]>();
  for (const { taskId, attempt, mark } of wrote) {
    const run = key(taskId, attempt);
    if (mark === "start") starts.set(run, (starts.get(run) ?? 0) + 1);
    else wholes.set(taskId, [...(wholes.get(taskId) ?? []), attempt]);
  }
  for (const [run, times] of starts) if (times > 1) found.push(`${run} started ${times} times`);
  const byId = new Map(stored.map((task) => [task.taskId, task]));
  for (const { taskId, attempt } of wrote) {
    const task = byId.get(taskId);
    if (!task) found.push(`${key(taskId, attempt)} ran and is not there`);
    else if (attempt > task.attempt) found.push(`${key(taskId, attempt)} ran and the store is at ${task.attempt}`);
  }
  for (const { taskId, attempt, exitCode } of stored) {
    if (exitCode === undefined) continue; // killed, lost, or never started
    const whole = wholes.get(taskId) ?? [];
    if (whole.length !== 1 || whole[0] !== attempt)
      found.push(`${key(taskId, attempt)} ended by itself, and ran to its end in attempts [${whole.join(", ")}]`);
  }
  return found;
}

/** At most one attempt of a task makes progress. */
function overlaps({ wrote }: History): string[] {
  const found: string[] = [];
  const byTask = Map.groupBy(wrote ?? [], ({ taskId }) => taskId);
  for (const [taskId, lines] of byTask) {
    const startOf = (attempt: number) => lines.find((l) => l.attempt === attempt && l.mark === "start")?.at ?? Infinity;
    for (const { attempt, at } of lines) {
      const later = lines.find((other) => other.attempt > attempt && startOf(other.attempt) < at);
      if (later) found.push(`attempt ${attempt} of ${taskId} made progress after attempt ${later.attempt} had started`);
    }
  }
  return found;
}

/** Never more at a time than fit. */
function overCapacity({ wrote, capacity }: History): string[] {
  if (!wrote || capacity === undefined) return [];
  let running = 0;
  let most = 0;
  // An end and a start of the same moment: the end first.
  const lines = wrote.toSorted((a, b) => a.at - b.at || (a.mark === "end" ? -1 : 1));
  for (const { mark } of lines) most = Math.max(most, (running += mark === "start" ? 1 : -1));
  return most > capacity ? [`${most} ran at the same time where ${capacity} fit`] : [];
}

/** The counts by state are those of the tasks. */
function counters({ stored, counts }: History): string[] {
  const tally: Record<string, number> = {};
  for (const { state } of stored) tally[state] = (tally[state] ?? 0) + 1;
  const states = new Set([...Object.keys(tally), ...Object.keys(counts)]);
  return [...states]
    .filter((state) => (tally[state] ?? 0) !== (counts[state] ?? 0))
    .map((state) => `${counts[state] ?? 0} tasks are counted as ${state}, and ${tally[state] ?? 0} are`);
}
