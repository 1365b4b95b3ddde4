import type { FileServiceService, HostServiceService, SessionServiceService, TaskServiceService } from "./api.ts";

type PathsOf<Service> = {
  [Name in keyof Service]: Service[Name] extends { path: infer Path } ? Path : never;
}[keyof Service];

/** Every RPC of the public API, as a literal type. */
export type Method =
  | PathsOf<TaskServiceService>
  | PathsOf<FileServiceService>
  | PathsOf<HostServiceService>
  | PathsOf<SessionServiceService>;

/** anyone: no token; user: any valid token, and only what is theirs; admin: role admin. */
export type Access = "anyone" | "user" | "admin";

/** Who may call what. A new RPC does not compile until it stands here. */
export const access: Readonly<Record<Method, Access>> = {
  "/berth.api.v1.TaskService/SubmitTask": "user",
  "/berth.api.v1.TaskService/SubmitTasks": "user",
  "/berth.api.v1.TaskService/GetTask": "user",
  "/berth.api.v1.TaskService/ListTasks": "user",
  "/berth.api.v1.TaskService/WatchTasks": "user",
  "/berth.api.v1.TaskService/ReadLog": "user",
  "/berth.api.v1.TaskService/RequestTasks": "user",
  "/berth.api.v1.TaskService/ExplainTask": "user",
  "/berth.api.v1.TaskService/UpdateTask": "user",
  "/berth.api.v1.FileService/AddFile": "user",
  "/berth.api.v1.FileService/ListFiles": "user",
  "/berth.api.v1.FileService/GetFile": "user",
  "/berth.api.v1.HostService/ListHosts": "user",
  "/berth.api.v1.HostService/GetStatus": "user",
  "/berth.api.v1.HostService/DeclareHostLost": "admin",
  "/berth.api.v1.HostService/CreateHostToken": "admin",
  "/berth.api.v1.HostService/JoinHost": "anyone",
  "/berth.api.v1.HostService/RevokeHost": "admin",
  "/berth.api.v1.SessionService/Login": "anyone",
  "/berth.api.v1.SessionService/WhoAmI": "user",
  "/berth.api.v1.SessionService/CreateKey": "user",
  "/berth.api.v1.SessionService/ListKeys": "user",
  "/berth.api.v1.SessionService/RevokeKey": "user",
  "/berth.api.v1.SessionService/CreateUser": "admin",
  "/berth.api.v1.SessionService/SetUserDisabled": "admin",
  "/berth.api.v1.SessionService/ListVolumes": "user",
};
