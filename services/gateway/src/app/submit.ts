import { AppError, defaultResources, badAnswer, dependencyNotFound } from "@berth/core";
import { fromFailure, hostLeaseOf, toFailure } from "@berth/contracts";
import type { SubmitTaskRequest, SubmitTaskResponse, SubmitTasksResult } from "@berth/contracts/api";
import type { NewTask, SubmitResult, TaskStoreServiceService } from "@berth/contracts/store";
import { Network } from "@berth/contracts/types";
import type { TaskSpec } from "@berth/contracts/types";
import { batcher, retry } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";
import { byteChunks } from "../domain/byte-chunks.ts";
import type { Caller } from "../domain/caller.ts";
import { ownerFilter } from "../domain/caller.ts";
import { hidden } from "../domain/hidden-task.ts";
import { defaultTaskName } from "../domain/task-name.ts";
import { tooLargeWarning } from "../domain/host-sizes.ts";
import type { LargestHosts } from "./largest-hosts.ts";
import type { RequestChecks } from "../ports/request-checks.ts";
import type { Resolver } from "./resolver.ts";

/** The site's defaults for fields that a task leaves out. */
export interface SubmitDefaults {
  readonly timeLimitMs: number;
  readonly graceMs: number;
  readonly hostLeaseMs: number;
}

export interface SubmitDeps {
  readonly store: Pick<GrpcClient<TaskStoreServiceService>, "submit" | "getTask">;
  readonly resolver: Resolver;
  readonly largestHosts: LargestHosts;
  readonly defaults: SubmitDefaults;
  readonly checks: Pick<RequestChecks, "submitTask">;
  /** Trace context of the submitting call; undefined while tracing is off. */
  traceparent(): string | undefined;
}

/** The submit use case: check, resolve, store. */
export interface Submits {
  one(caller: Caller, request: SubmitTaskRequest): Promise<SubmitTaskResponse>;
  /** One result per task, in order. */
  many(caller: Caller, requests: readonly SubmitTaskRequest[]): Promise<SubmitTasksResult[]>;
}

/** Limits of one call to the store; a message may have 16 MiB. */
const storeCall = { maxItems: 2_000, maxBytes: 8 * 1024 * 1024 };
/** Tasks larger than this are sent alone, because many of them together could exceed the message limit. */
const alone = 16 * 1024;
/** Longer than it takes to notice that a copy of the store is dead. */
const retryForMs = 12_000;

export function makeSubmits({ store, resolver, largestHosts, defaults, checks, traceparent }: SubmitDeps): Submits {
  /** Concurrent single submits share one call, which is one commit in storage. */
  const gather = batcher<NewTask, SubmitResult>({ maxItems: 500, maxQueued: 20_000, run: (tasks) => send(tasks) });

  async function send(tasks: readonly NewTask[]): Promise<readonly SubmitResult[]> {
    const call = async () => (await store.submit({ tasks: [...tasks] })).results;
    // A repeated submit is recognised only by its key. Without a key the client decides whether to send again.
    const results = tasks.every((task) => task.clientKey !== "")
      ? await retry(call, { forMs: retryForMs })
      : await call();
    if (results.length !== tasks.length) throw badAnswer("storage", "a result");
    return results.map(withoutOthers);
  }

  /** The task to store, or the error that refuses it. */
  async function prepare(
    caller: Caller,
    requests: readonly SubmitTaskRequest[],
    within: (at: number) => readonly PropertyKey[],
  ): Promise<(NewTask | AppError)[]> {
    const checked = requests.map((request, at) => {
      try {
        checks.submitTask(request, within(at));
        return withDefaults(request.spec!, defaults);
      } catch (error) {
        return AppError.from(error);
      }
    });
    const specs = checked.filter((spec): spec is TaskSpec => !(spec instanceof AppError));
    const resolved = specs.length > 0 ? await resolver.resolve(caller.user, specs) : [];
    const traceParent = traceparent() ?? "";
    let next = 0;
    return checked.map((spec, at): NewTask | AppError => {
      if (spec instanceof AppError) return spec;
      const result = resolved[next++]!;
      if (result instanceof AppError) return located(result, within(at));
      return {
        runSpec: { spec, identity: result.identity, mounts: [...result.mounts], traceParent },
        clientKey: requests[at]!.requestId,
        admin: caller.admin,
      };
    });
  }

  async function checkDependencies(caller: Caller, task: NewTask): Promise<void> {
    for (const { taskId } of task.runSpec?.spec?.dependencies ?? []) {
      await store.getTask({ taskId, user: ownerFilter(caller) }).catch((error: unknown) => {
        throw hidden(error, dependencyNotFound(taskId));
      });
    }
  }

  /** Only for stored tasks: a refused task needs no advice. */
  async function warningsOf(task: NewTask, options: { readonly fresh?: boolean } = {}): Promise<string[]> {
    const pending = largestHosts.get(options);
    const largest = pending instanceof Promise ? await pending : pending;
    const warning = tooLargeWarning(task.runSpec!.spec!.resources!, largest);
    return warning === undefined ? [] : [warning];
  }

  return {
    async one(caller, request) {
      const [task] = await prepare(caller, [request], () => []);
      if (task instanceof AppError) throw task;
      if (request.dryRun) {
        await checkDependencies(caller, task!);
        return { taskId: "", existing: false, warnings: await warningsOf(task!, { fresh: true }) };
      }
      const result = sizeOf(task!) > alone ? (await send([task!]))[0]! : await gather(task!);
      if (result.failure) throw fromFailure(result.failure);
      return { taskId: result.taskId, existing: result.existing, warnings: await warningsOf(task!) };
    },

    async many(caller, requests) {
      const prepared = await prepare(caller, requests, (at) => ["tasks", at]);
      const results = prepared.map((task): SubmitTasksResult => ({
        taskId: "",
        existing: false,
        warnings: [],
        ...(task instanceof AppError ? { failure: toFailure(task) } : {}),
      }));
      const toStore: number[] = [];
      for (const [at, task] of prepared.entries()) {
        if (task instanceof AppError) continue;
        if (!requests[at]!.dryRun) toStore.push(at);
        else
          await checkDependencies(caller, task).catch(
            (error: unknown) =>
              void (results[at] = {
                taskId: "",
                existing: false,
                warnings: [],
                failure: toFailure(AppError.from(error)),
              }),
          );
      }
      const task = (at: number) => prepared[at] as NewTask;
      for (const chunk of byteChunks(toStore, (at) => sizeOf(task(at)), storeCall)) {
        const stored = await send(chunk.map(task)).catch((error: unknown) =>
          chunk.map(() => ({ taskId: "", existing: false, failure: toFailure(AppError.from(error)) })),
        );
        chunk.forEach((at, n) => void (results[at] = { ...stored[n]!, warnings: [] }));
      }
      for (const [at, result] of results.entries()) if (!result.failure) result.warnings = await warningsOf(task(at));
      return results;
    },
  };
}

/** Another user's dependency is reported as missing. */
function withoutOthers(result: SubmitResult): SubmitResult {
  if (result.failure?.reason !== "DEPENDENCY_NOT_YOURS") return result;
  return { ...result, failure: toFailure(dependencyNotFound(result.failure.metadata["task_id"] ?? "")) };
}

/** Adds the position in our request to the field names in auth's error. */
function located(error: AppError, within: readonly PropertyKey[]): AppError {
  const field = error.metadata["field"];
  if (field === undefined) return error;
  const prefix = within.length === 0 ? "spec." : `${String(within[0])}[${String(within[1])}].spec.`;
  return AppError.received(error.code, error.reason, `${prefix}${error.message}`, {
    cause: error,
    metadata: { ...error.metadata, field: `${prefix}${field}` },
  });
}

function withDefaults(spec: TaskSpec, defaults: SubmitDefaults): TaskSpec {
  return {
    ...spec,
    name: spec.name || defaultTaskName(spec.command),
    project: spec.project || "default",
    resources: {
      cpuMilli: spec.resources?.cpuMilli || defaultResources.cpuMilli,
      memoryBytes: spec.resources?.memoryBytes || defaultResources.memoryBytes,
    },
    timeLimitMs: spec.timeLimitMs || defaults.timeLimitMs,
    graceMs: spec.graceMs || defaults.graceMs,
    hostLeaseMs: hostLeaseOf(spec) ? spec.hostLeaseMs || defaults.hostLeaseMs : 0,
    network: spec.network === Network.UNSPECIFIED ? Network.NONE : spec.network,
  };
}

/** Approximate size on the wire; uncounted fields are small. */
function sizeOf({ runSpec }: NewTask): number {
  const spec = runSpec!.spec!;
  let bytes = 512 + Buffer.byteLength(spec.script);
  for (const word of spec.command) bytes += Buffer.byteLength(word) + 4;
  for (const file of spec.files) bytes += file.content.length + 64;
  for (const name in spec.env) bytes += name.length + Buffer.byteLength(spec.env[name]!) + 8;
  return bytes;
}
