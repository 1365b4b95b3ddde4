import { readFileSync } from "node:fs";
import {
  FileServiceService,
  HostServiceService,
  SessionServiceService,
  TaskServiceService,
} from "@berth/contracts/api";
import { createChannel, createClient, Metadata } from "nice-grpc";
import type { Client } from "nice-grpc";

/** The public API as a plain gRPC client sees it. */
export interface Api {
  readonly tasks: Client<TaskServiceService>;
  readonly files: Client<FileServiceService>;
  readonly hosts: Client<HostServiceService>;
  readonly session: Client<SessionServiceService>;
  close(): void;
}

/** Connects with an API key; without one, without credentials. */
export function connectApi(server: string, key: string | undefined): Api {
  const channel = createChannel(server);
  const options = key === undefined ? {} : { "*": { metadata: Metadata({ authorization: `Bearer ${key}` }) } };
  return {
    tasks: createClient(TaskServiceService, channel, options),
    files: createClient(FileServiceService, channel, options),
    hosts: createClient(HostServiceService, channel, options),
    session: createClient(SessionServiceService, channel, options),
    close: () => channel.close(),
  };
}

/** Connects as the first user of a cluster. */
export function apiOf(cluster: { readonly layout: { readonly clientFile: string } }): Api {
  const { server, key } = JSON.parse(readFileSync(cluster.layout.clientFile, "utf8")) as {
    server: string;
    key: string;
  };
  return connectApi(server, key);
}
