import { AuthServiceService } from "@berth/contracts/auth";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import { grpcChannel, grpcClient } from "@berth/runtime";
import type { Closing, Trust } from "@berth/runtime";

/** Addresses of the services that the gateway calls. */
interface Addresses {
  readonly storage: string;
  readonly auth: string;
  readonly scheduler: string;
}

/** Clients of the services behind the gateway, with the names of the calls that are safe to repeat: these are retried at another copy. */
export function openClients(
  addresses: Addresses,
  { trust, closing }: { readonly trust: Trust; readonly closing: Closing },
) {
  const { authorization } = trust;
  const channels = {
    storage: grpcChannel(addresses.storage, { closing, ...trust.to("storage") }),
    auth: grpcChannel(addresses.auth, { closing, ...trust.to("auth") }),
    scheduler: grpcChannel(addresses.scheduler, { closing, ...trust.to("scheduler") }),
  };
  const store = grpcClient(TaskStoreServiceService, channels.storage, {
    service: "storage",
    authorization,
    idempotent: ["GetTask", "ListTasks", "ListHosts", "CountTasks", "RequestTasks"],
  });
  const files = grpcClient(FileStoreServiceService, channels.storage, {
    service: "storage",
    authorization,
    idempotent: ["ListFiles"],
  });
  const auth = grpcClient(AuthServiceService, channels.auth, {
    service: "auth",
    authorization,
    idempotent: [
      "Login",
      "ExchangeKey",
      "CheckSession",
      "GetKeySet",
      "ResolveSubmits",
      "GetUser",
      "ListKeys",
      "ListVolumes",
    ],
  });
  const scheduler = grpcClient(ScheduleServiceService, channels.scheduler, {
    service: "scheduler",
    authorization,
    idempotent: true,
    deadlineMs: 3_000,
  });
  return { store, files, auth, scheduler };
}
