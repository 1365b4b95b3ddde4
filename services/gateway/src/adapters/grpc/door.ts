import {
  FileServiceService,
  HostServiceService,
  SessionServiceService,
  TaskServiceService,
} from "@berth/contracts/api";
import { bindService } from "@berth/runtime";
import type { BoundService, CallContext, ServiceImplementation } from "@berth/runtime";
import type { Api } from "../../app/api.ts";
import type { ApiCaller } from "../../domain/caller.ts";
import type { CallerContext } from "./access-middleware.ts";

/** The handlers of one service, called with the caller and a signal instead of gRPC's context. */
type Handlers<S> = {
  [M in keyof S]: S[M] extends (request: infer Q, context: CallContext & CallerContext) => infer R
    ? (caller: ApiCaller, request: Q, signal: AbortSignal) => R
    : never;
};

/** The API over gRPC. Each method only calls its handler, so the types are the only thing to check here. */
export const grpcServices = (api: Api): BoundService[] => [
  bindService(TaskServiceService, served<ServiceImplementation<TaskServiceService, CallerContext>>(api.tasks)),
  bindService(FileServiceService, served<ServiceImplementation<FileServiceService, CallerContext>>(api.files)),
  bindService(HostServiceService, served<ServiceImplementation<HostServiceService, CallerContext>>(api.hosts)),
  bindService(SessionServiceService, served<ServiceImplementation<SessionServiceService, CallerContext>>(api.sessions)),
];

type AnyHandler = (caller: ApiCaller, request: unknown, signal: AbortSignal) => unknown;

function served<S>(handlers: Handlers<S>): S {
  const methods = Object.entries(handlers as Record<string, AnyHandler>).map(([name, handle]) => [
    name,
    (request: unknown, { caller, signal }: CallContext & CallerContext) => handle(caller, request, signal),
  ]);
  return Object.fromEntries(methods) as S;
}
