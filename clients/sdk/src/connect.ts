import {
  FileServiceService,
  HostServiceService,
  SessionServiceService,
  TaskServiceService,
} from "@berth/contracts/api";
import { createChannel, createClientFactory } from "nice-grpc";
import type { Client } from "nice-grpc";
import { callErrors } from "./call-errors.ts";
import type { CallExtras } from "./call-errors.ts";

/** The public API, typed. */
export interface Berth {
  /** As given. */
  readonly server: string;
  readonly tasks: Client<TaskServiceService, CallExtras>;
  readonly files: Client<FileServiceService, CallExtras>;
  readonly hosts: Client<HostServiceService, CallExtras>;
  readonly session: Client<SessionServiceService, CallExtras>;
  /** Ends all calls. */
  close(): void;
}

export interface ConnectOptions {
  /** `host:port` or `unix:/path` of a gateway. */
  readonly address: string;
  /** An access token or an API key; without one only `session.login` is allowed. */
  readonly credential?: string | undefined;
  /** For a call with one answer that says none; 30 s by default. */
  readonly deadlineMs?: number;
  /** How long `unavailable` is tried again, where a call may be repeated; 3 s by default. */
  readonly patienceMs?: number;
}

const maxMessageBytes = 16 * 1024 * 1024;

/**
 * A client of one cluster. Connects at the first call. Every call fails with AppError: the server's own, or `unavailable` NO_ANSWER.
 */
export function connectBerth({ address, credential, deadlineMs = 30_000, patienceMs = 3_000 }: ConnectOptions): Berth {
  const channel = createChannel(address, undefined, {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.min_reconnect_backoff_ms": 5_000, // nice-grpc reads it as the limit of one attempt to connect
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.enable_retries": 0,
  });
  const factory = createClientFactory().use(callErrors({ server: address, credential, deadlineMs, patienceMs }));
  return {
    server: address,
    tasks: factory.create(TaskServiceService, channel),
    files: factory.create(FileServiceService, channel),
    hosts: factory.create(HostServiceService, channel),
    session: factory.create(SessionServiceService, channel),
    close: () => channel.close(),
  };
}
