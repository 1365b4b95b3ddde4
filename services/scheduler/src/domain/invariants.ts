import type { Queue } from "./queue.ts";

/** Checks a queue's invariants, which hold between any two calls. Answers the first broken one as a sentence. For tests. */
export function brokenInvariant(queue: Queue): string | undefined {
  const used = new Map<string, { cpuMilli: number; memoryBytes: number; tasks: number }>();
  const live = new Map<string, number>();
  let pending = 0;
  let queued = 0;
  for (const record of queue.records()) {
    pending += record.pending;
    if (record.phase === "queued") queued++;
    if ((record.phase === "queued") !== (record.queuedIn !== undefined))
      return `${record.id}: ${record.phase}, but ${record.queuedIn ? "" : "not "}in a shape`;
    if (record.onHost !== (record.host !== undefined))
      return `${record.id}: ${record.phase}, but ${record.host ? "" : "no "}host`;
    // Doubtful after storage refused its end: its row will follow in the feed.
    const isSetAside =
      record.phase === "blocked" || record.phase === "ending" || (record.phase === "doubtful" && record.impossible);
    if (record.impossible && !isSetAside) return `${record.id}: can never run, but is ${record.phase}`;
    if (record.unmet && !isSetAside) return `${record.id}: waits for others, but is ${record.phase}`;
    if (record.array && record.phase === "queued" && (record.array.exhausted || record.array.atLimit()))
      return `${record.id}: queued with nothing to claim`;
    if (!record.host) continue;
    const sum = used.get(record.host.id) ?? { cpuMilli: 0, memoryBytes: 0, tasks: 0 };
    const { cpuMilli, memoryBytes } = record.shape.needs;
    used.set(record.host.id, {
      cpuMilli: sum.cpuMilli + cpuMilli,
      memoryBytes: sum.memoryBytes + memoryBytes,
      tasks: sum.tasks + 1,
    });
    if (record.parent?.array) live.set(record.parent.id, (live.get(record.parent.id) ?? 0) + 1);
  }
  if (pending !== queue.pending) return `pending is ${queue.pending}, counted ${pending}`;
  for (const host of queue.hosts.known()) {
    const sum = used.get(host.id) ?? { cpuMilli: 0, memoryBytes: 0, tasks: 0 };
    if (sum.cpuMilli !== host.usedCpuMilli || sum.memoryBytes !== host.usedMemoryBytes || sum.tasks !== host.liveTasks)
      return `host ${host.id}: used ${host.usedCpuMilli}, counted ${sum.cpuMilli}`;
  }
  for (const record of queue.records()) {
    if (record.array && record.array.live !== (live.get(record.id) ?? 0))
      return `array ${record.id}: ${record.array.live} live, counted ${live.get(record.id) ?? 0}`;
  }
  let inShapes = 0;
  for (const shape of queue.shapes.all()) {
    let found = 0;
    for (let at = shape.from(0); at >= 0; at = shape.from(at + 1)) found++;
    if (found !== shape.queued) return `a shape of ${shape.user} says ${shape.queued}, has ${found}`;
    if (found > 0 !== shape.needClass.shapes.has(shape))
      return `a shape of ${shape.user} with ${found} is ${found > 0 ? "not " : ""}in its class`;
    inShapes += found;
  }
  return inShapes === queued ? undefined : `${queued} queued, ${inShapes} in shapes`;
}
