import type { AuthServiceService } from "./auth.ts";
import type { HealthServiceService } from "./health.ts";
import type { ServiceRole } from "./identity.ts";
import type { ScheduleServiceService } from "./schedule.ts";
import type { FileStoreServiceService, TaskStoreServiceService } from "./store.ts";

type PathsOf<Service> = {
  [Name in keyof Service]: Service[Name] extends { path: infer Path } ? Path : never;
}[keyof Service];

/** Every RPC that services ask each other, as a literal type. */
export type InternalMethod =
  | PathsOf<TaskStoreServiceService>
  | PathsOf<FileStoreServiceService>
  | PathsOf<AuthServiceService>
  | PathsOf<ScheduleServiceService>
  | PathsOf<HealthServiceService>;

type CallerRole = ServiceRole | "agent";

/** The identity of auth itself is on its machine only: an operator there makes the first admin with it, or one more where none can log in. */
const operator = "auth";

/** Which identity may call what, by its certificate. A new RPC does not compile until it stands here. */
export const serviceAccess: Readonly<Record<InternalMethod, readonly CallerRole[]>> = {
  "/berth.store.v1.TaskStoreService/Submit": ["gateway"],
  "/berth.store.v1.TaskStoreService/CommitPlan": ["scheduler"],
  "/berth.store.v1.TaskStoreService/ApplyReports": ["watcher"],
  "/berth.store.v1.TaskStoreService/RequestTasks": ["gateway"],
  "/berth.store.v1.TaskStoreService/AcquireLease": ["scheduler", "watcher"],
  "/berth.store.v1.TaskStoreService/ReleaseLease": ["scheduler", "watcher"],
  "/berth.store.v1.TaskStoreService/Snapshot": ["scheduler", "watcher"],
  "/berth.store.v1.TaskStoreService/Changes": ["gateway", "scheduler", "watcher"],
  "/berth.store.v1.TaskStoreService/GetTask": ["gateway"],
  "/berth.store.v1.TaskStoreService/ListTasks": ["gateway", "scheduler"],
  "/berth.store.v1.TaskStoreService/LookUpRuns": ["watcher"],
  "/berth.store.v1.TaskStoreService/SyncHosts": ["watcher"],
  "/berth.store.v1.TaskStoreService/ListHosts": ["gateway"],
  "/berth.store.v1.TaskStoreService/CountTasks": ["gateway"],
  "/berth.store.v1.TaskStoreService/UpdateTask": ["gateway"],
  "/berth.store.v1.TaskStoreService/LoseRuns": ["gateway", "watcher"],
  "/berth.store.v1.TaskStoreService/RunHousekeeping": ["watcher"],
  "/berth.store.v1.FileStoreService/AddFile": ["gateway"],
  "/berth.store.v1.FileStoreService/ListFiles": ["gateway"],
  "/berth.store.v1.FileStoreService/GetFile": ["gateway"],
  // Of runs that were placed on its host; storage looks.
  "/berth.store.v1.FileStoreService/AppendLog": ["agent"],
  "/berth.store.v1.FileStoreService/ReadLog": ["gateway"],
  "/berth.auth.v1.AuthService/Login": ["gateway"],
  "/berth.auth.v1.AuthService/ExchangeKey": ["gateway"],
  "/berth.auth.v1.AuthService/GetKeySet": ["gateway"],
  "/berth.auth.v1.AuthService/ResolveSubmits": ["gateway"],
  "/berth.auth.v1.AuthService/GetUser": ["gateway"],
  "/berth.auth.v1.AuthService/CheckSession": ["gateway"],
  "/berth.auth.v1.AuthService/CreateUser": ["gateway", operator],
  "/berth.auth.v1.AuthService/SetUserDisabled": ["gateway"],
  "/berth.auth.v1.AuthService/ListDisabledUsers": ["scheduler"],
  "/berth.auth.v1.AuthService/CreateKey": ["gateway", operator],
  "/berth.auth.v1.AuthService/ListKeys": ["gateway"],
  "/berth.auth.v1.AuthService/RevokeKey": ["gateway"],
  "/berth.auth.v1.AuthService/ListVolumes": ["gateway"],
  "/berth.auth.v1.AuthService/CreateHostToken": ["gateway"],
  "/berth.auth.v1.AuthService/JoinHost": ["gateway"],
  "/berth.auth.v1.AuthService/RevokeHost": ["gateway"],
  "/berth.auth.v1.AuthService/ListRevokedHostKeys": ["storage"],
  "/berth.schedule.v1.ScheduleService/Explain": ["gateway"],
  "/berth.schedule.v1.ScheduleService/ListLargestHosts": ["gateway"],
  "/berth.health.v1.HealthService/ListProblems": ["gateway"],
};

/** Whether an identity of that role may call the method at this path. */
export const mayCall = (role: CallerRole, path: string): boolean =>
  (serviceAccess as Readonly<Record<string, readonly CallerRole[]>>)[path]?.includes(role) === true;
