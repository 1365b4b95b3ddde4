export {
  sqliteTaskStore,
  type SqliteTaskStore,
  type SqliteTaskStoreOptions,
} from "./adapters/sqlite/sqlite-task-store.ts";
export { mongoTaskStore, type MongoTaskStore } from "./adapters/mongo/mongo-task-store.ts";
export type { MongoTaskStoreOptions } from "./adapters/mongo/options.ts";
export { connectMongo, databaseOf } from "./adapters/mongo/connect.ts";
export type { MongoCalls } from "./adapters/mongo/calls.ts";
export { migrations } from "./adapters/sqlite/schema.ts";
export { diskFileStore } from "./adapters/disk/disk-file-store.ts";
export { fileStoreService } from "./adapters/grpc/file-store-service.ts";
export { taskStoreService } from "./adapters/grpc/task-store-service.ts";
export { keepHouse } from "./app/keep-house.ts";
export type { LogState, StoredTask, TaskStore } from "./ports/task-store.ts";
export type { FileStore, NewFile, OpenFile, OutputStream, Owner } from "./ports/file-store.ts";
