import {
  FileServiceService,
  HostServiceService,
  SessionServiceService,
  TaskServiceService,
} from "@berth/contracts/api";
import { openTrustedChannel, splitAddresses } from "@berth/contracts/channel";
import { createClientFactory } from "nice-grpc";
import type { Client } from "nice-grpc";
import { callErrors } from "./call-errors.ts";
import type { CallExtras } from "./call-errors.ts";

/** The public API, typed. */
export interface Berth {
  /** The address, as it was given. */
  readonly server: string;
  readonly tasks: Client<TaskServiceService, CallExtras>;
  readonly files: Client<FileServiceService, CallExtras>;
  readonly hosts: Client<HostServiceService, CallExtras>;
  readonly session: Client<SessionServiceService, CallExtras>;
  /** Ends all calls. */
  close(): void;
}

export interface ConnectOptions {
  /** `host:port` or `unix:/path` of a gateway; several with commas. */
  readonly address: string;
  /** An access token or an API key; without one only `session.login` is allowed. */
  readonly credential?: string | undefined;
  /**
   * TLS: the PEM text of the authority of a cluster that `berth init` made, or `system` for gateways whose certificate a public authority has signed for the name in
   * `address`. Plain text without it, which is for gateways on this machine.
   */
  readonly ca?: string | undefined;
  /** Deadline of a unary call that sets none itself; 30 s by default. */
  readonly deadlineMs?: number;
  /** How long a call that fails with `unavailable` is retried, if it may be repeated; 3 s by default. */
  readonly patienceMs?: number;
}

/**
 * A client of one cluster. It connects at the first call. Every call fails with AppError: the server's own, or `unavailable` NO_ANSWER. With several gateways
 * it continues at another one if one is gone. A submit without a request id gets one, so that it can be retried safely.
 */
export function connectBerth({
  address,
  credential,
  ca,
  deadlineMs = 30_000,
  patienceMs = 3_000,
}: ConnectOptions): Berth {
  const channel = openTrustedChannel(address, ca);
  const others = Math.max(0, splitAddresses(address).length - 1);
  const factory = createClientFactory().use(
    callErrors({ server: address, credential, deadlineMs, patienceMs, others }),
  );
  return {
    server: address,
    tasks: factory.create(TaskServiceService, channel),
    files: factory.create(FileServiceService, channel),
    hosts: factory.create(HostServiceService, channel),
    session: factory.create(SessionServiceService, channel),
    close: () => channel.close(),
  };
}
