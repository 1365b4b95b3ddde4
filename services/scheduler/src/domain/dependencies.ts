import type { Outcome } from "@berth/core";
import type { Dependency } from "./feed.ts";
import type { TaskRecord } from "./records.ts";

const outcomesKept = 20_000;

/** Which tasks wait for which. An outcome never changes, so a met dependency stays met. */
export class Dependencies {
  readonly #children = new Map<string, Set<TaskRecord>>();
  /** Recent outcomes, for children that arrive after their parent ended. */
  readonly #outcomes = new Map<string, Outcome>();
  readonly #unknown = new Set<string>();

  /** Records the dependencies of a task, once. */
  add(record: TaskRecord, dependencies: readonly Dependency[]): void {
    if (record.dependenciesSeen) return;
    record.dependenciesSeen = true;
    for (const { kind, taskId } of dependencies) {
      const outcome = this.#outcomes.get(taskId);
      if (outcome !== undefined && this.#judge(record, kind, taskId, outcome)) continue;
      const stricter = record.unmet?.get(taskId) === "afterok" ? "afterok" : kind;
      (record.unmet ??= new Map()).set(taskId, stricter);
      const children = this.#children.get(taskId);
      if (children) children.add(record);
      else this.#children.set(taskId, new Set([record]));
      this.#unknown.add(taskId);
    }
  }

  /** Records the end of a task, and returns the tasks that this affects. */
  ended(taskId: string, outcome: Outcome): TaskRecord[] {
    this.#outcomes.set(taskId, outcome);
    if (this.#outcomes.size > outcomesKept)
      for (const oldest of this.#outcomes.keys()) {
        this.#outcomes.delete(oldest);
        break;
      }
    const children = this.#children.get(taskId);
    if (!children) return [];
    this.#children.delete(taskId);
    this.#unknown.delete(taskId);
    const changed: TaskRecord[] = [];
    for (const record of children) {
      const kind = record.unmet?.get(taskId);
      if (kind === undefined) continue;
      this.#judge(record, kind, taskId, outcome);
      record.unmet?.delete(taskId);
      if (record.unmet?.size === 0) record.unmet = undefined;
      if (record.unmet === undefined || record.impossible) changed.push(record);
    }
    return changed;
  }

  /** The task is gone. */
  forget(record: TaskRecord): void {
    for (const taskId of record.unmet?.keys() ?? []) {
      const children = this.#children.get(taskId);
      children?.delete(record);
      if (children?.size === 0) this.#children.delete(taskId);
    }
  }

  /** At most `max` parents that are unknown here, each once: storage must be asked. */
  takeUnknown(isLive: (taskId: string) => boolean, max: number): string[] {
    const asked: string[] = [];
    for (const taskId of this.#unknown) {
      if (asked.length >= max) break;
      this.#unknown.delete(taskId);
      if (this.#children.has(taskId) && !isLive(taskId)) asked.push(taskId);
    }
    return asked;
  }

  /** The question failed: ask for these again. */
  putBackUnknown(taskIds: readonly string[]): void {
    for (const taskId of taskIds) this.#unknown.add(taskId);
  }

  /** True if nothing is left to wait for. */
  #judge(record: TaskRecord, kind: Dependency["kind"], taskId: string, outcome: Outcome): boolean {
    if (kind === "afterok" && outcome !== "succeeded") {
      record.impossible ??= {
        code: "DEPENDENCY_FAILED",
        message: `task ${taskId}, which must succeed first, ended as ${outcome.replaceAll("_", " ")}`,
      };
    }
    return true;
  }
}
