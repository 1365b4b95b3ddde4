import { makeAuthorize } from "./authorize.ts";
import type { Authorize } from "./authorize.ts";
import { fileCalls } from "./file-calls.ts";
import type { FileCallsDeps } from "./file-calls.ts";
import { hostCalls } from "./host-calls.ts";
import type { HostCallsDeps } from "./host-calls.ts";
import { sessionCalls } from "./session-calls.ts";
import type { SessionCallsDeps } from "./session-calls.ts";
import { taskCalls } from "./task-calls.ts";
import type { TaskCallsDeps } from "./task-calls.ts";

export type ApiDeps = TaskCallsDeps & FileCallsDeps & HostCallsDeps & SessionCallsDeps;

/**
 * The public API without its transport. A transport such as gRPC gets the caller from `authorize`, then calls the handler of the method as `(caller, request, signal)`.
 * A handler returns a promise, or an async iterable if the method returns a stream; it throws AppErrors.
 */
export interface Api {
  readonly authorize: Authorize;
  readonly tasks: ReturnType<typeof taskCalls>;
  readonly files: ReturnType<typeof fileCalls>;
  readonly hosts: ReturnType<typeof hostCalls>;
  readonly sessions: ReturnType<typeof sessionCalls>;
}

export const makeApi = (deps: ApiDeps): Api => ({
  authorize: makeAuthorize(deps.sessions),
  tasks: taskCalls(deps),
  files: fileCalls(deps),
  hosts: hostCalls(deps),
  sessions: sessionCalls(deps),
});
