import type { IncomingMessage } from "node:http";
import { createConnection } from "node:net";
import { AppError } from "@berth/core";
import Docker from "dockerode";

/** How to reach an engine; `engine.ts` finds it. */
export interface Endpoint {
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
  /** Set for TLS. */
  readonly tls?: { readonly ca: Uint8Array; readonly cert: Uint8Array; readonly key: Uint8Array } | undefined;
}

/** A failed call of the engine. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  /** HTTP status. 0 if the engine was not reached or did not answer; the engine may then have carried out the call. */
  readonly status: number;
  constructor(status: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

export interface ContainerState {
  readonly Status: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  readonly Running: boolean;
  readonly Paused: boolean;
  readonly OOMKilled: boolean;
  readonly ExitCode: number;
  readonly Error: string;
  readonly StartedAt: string;
  readonly FinishedAt: string;
}

export interface ContainerDetails {
  readonly Id: string;
  readonly State: ContainerState;
  readonly Config: { readonly Labels: Readonly<Record<string, string>> | null };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>> | null;
  };
}

export interface ContainerRow {
  readonly Id: string;
  readonly State: ContainerState["Status"];
  readonly Labels: Readonly<Record<string, string>>;
}

export const isUp = ({ State }: ContainerRow): boolean =>
  State === "running" || State === "paused" || State === "restarting";

export interface EngineFacts {
  readonly Name: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly ServerVersion: string;
  readonly OperatingSystem: string;
  readonly SecurityOptions: readonly string[] | null;
  readonly CgroupDriver: string;
  readonly CgroupVersion?: string;
  readonly InitBinary: string;
  readonly MemoryLimit: boolean;
  readonly CpuCfsQuota: boolean;
  readonly PidsLimit: boolean;
}

export interface EngineEvent {
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly timeNano: number;
}

interface Call {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly query?: object;
  readonly body?: object;
  readonly file?: Uint8Array;
  /** Further statuses that mean success, beside 200, 201 and 204. */
  readonly also?: readonly number[];
  readonly stream?: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type EngineClient = ReturnType<typeof engineClient>;

/**
 * The engine's calls. Each has a timeout, because dockerode never settles a call whose answer is cut off. All throw EngineError.
 */
export function engineClient(endpoint: Endpoint) {
  const docker = new Docker(
    endpoint.socketPath === undefined
      ? {
          protocol: endpoint.tls ? "https" : "http",
          host: endpoint.host ?? "127.0.0.1",
          port: endpoint.port ?? 2375,
          ...endpoint.tls,
        }
      : { socketPath: endpoint.socketPath },
  );

  function call<T>(
    path: string,
    { method = "GET", query, body, file, also = [], stream = false, timeoutMs = 60_000, signal }: Call = {},
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const limit = new AbortController();
      const give = (why: string, cause?: unknown): void => {
        limit.abort();
        reject(new EngineError(0, why, cause));
      };
      const timer = setTimeout(
        () => give(`the engine did not answer ${method} ${path} within ${timeoutMs / 1000} s`),
        timeoutMs,
      );
      const onAbort = (): void => give("stopped", signal?.reason);
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      docker.modem.dial(
        {
          path: query || (body && method !== "POST") ? `${path}?` : path,
          method,
          ...(query && body
            ? { options: { _query: query, _body: body } }
            : query || body
              ? { options: query ?? body ?? {} }
              : {}),
          ...(file ? { file } : {}),
          isStream: stream,
          abortSignal: limit.signal,
          statusCodes: {
            200: true,
            201: true,
            204: true,
            ...Object.fromEntries(also.map((status) => [status, true as const])),
          },
        },
        (error, answer) => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
          if (error) return reject(engineError(error));
          if (stream) {
            const answered = answer as IncomingMessage;
            const stop = (): void => void answered.destroy();
            if (signal?.aborted) stop();
            else signal?.addEventListener("abort", stop, { once: true });
            answered.once("close", () => signal?.removeEventListener("abort", stop));
          }
          resolve(answer as T);
        },
      );
    });
  }

  return {
    /** Whether the engine accepts new connections. A stopping engine still answers on open ones for a while. */
    takesConnections: (): Promise<boolean> => connects(endpoint),
    ping: (timeoutMs: number): Promise<unknown> => call("/_ping", { timeoutMs }),
    info: (timeoutMs = 10_000): Promise<EngineFacts> => call("/info", { timeoutMs }),
    create: (name: string, body: object, signal: AbortSignal): Promise<{ readonly Id: string }> =>
      call("/containers/create", { method: "POST", query: { name }, body, signal }),
    start: (id: string, signal: AbortSignal): Promise<void> =>
      call(`/containers/${id}/start`, { method: "POST", also: [304], timeoutMs: 120_000, signal }),
    inspect: (id: string, signal?: AbortSignal): Promise<ContainerDetails> =>
      call(`/containers/${id}/json`, { timeoutMs: 20_000, ...(signal ? { signal } : {}) }),
    /** All containers with all these labels, ended ones too. */
    list: (labels: readonly string[], signal: AbortSignal): Promise<readonly ContainerRow[]> =>
      call("/containers/json", { query: { all: true, filters: JSON.stringify({ label: labels }) }, signal }),
    /** Succeeds if the container has ended or is gone. */
    kill: (id: string, name: string): Promise<void> =>
      call<void>(`/containers/${id}/kill`, { method: "POST", query: { signal: name }, also: [404, 409] }),
    pause: (id: string): Promise<void> => call<void>(`/containers/${id}/pause`, { method: "POST", also: [404, 409] }),
    unpause: (id: string): Promise<void> =>
      call<void>(`/containers/${id}/unpause`, { method: "POST", also: [404, 409, 500] }),
    /** Pids of its processes, on the engine's machine. */
    pids: async (id: string): Promise<readonly number[]> => {
      const { Processes } = await call<{ readonly Processes: readonly (readonly string[])[] }>(
        `/containers/${id}/top`,
        {
          query: { ps_args: "-eo pid" },
        },
      );
      return Processes.map(([pid]) => Number(pid)).filter((pid) => pid > 0);
    },
    /** Removes it with its anonymous volumes. Succeeds if it is gone or being removed. */
    remove: (id: string): Promise<void> =>
      call<void>(`/containers/${id}`, { method: "DELETE", query: { v: true, force: true }, also: [404, 409] }),
    stats: (id: string): Promise<unknown> =>
      call(`/containers/${id}/stats`, { query: { stream: false, "one-shot": true }, timeoutMs: 10_000 }),
    /** Its output from now on, as frames of both streams; all of its output if attached before the start. Ends when the container does. */
    attach: (id: string, signal: AbortSignal): Promise<IncomingMessage> =>
      call(`/containers/${id}/attach`, {
        method: "POST",
        query: { stream: true, stdout: true, stderr: true },
        body: {},
        stream: true,
        signal,
      }),
    /** The engine's log as frames of both streams, with timestamps. `since` is in seconds with nanoseconds. */
    logs: (
      id: string,
      { follow, since, stderrOnly = false }: { follow: boolean; since?: string | undefined; stderrOnly?: boolean },
      signal: AbortSignal,
    ): Promise<IncomingMessage> =>
      call(`/containers/${id}/logs`, {
        query: {
          follow,
          stdout: !stderrOnly,
          stderr: true,
          timestamps: true,
          ...(since === undefined ? {} : { since }),
        },
        stream: true,
        signal,
      }),
    /** Events of containers with all these labels. */
    events: (labels: readonly string[], actions: readonly string[], signal: AbortSignal): Promise<IncomingMessage> =>
      call("/events", {
        query: { filters: JSON.stringify({ type: ["container"], label: labels, event: actions }) },
        stream: true,
        signal,
      }),
    hasImage: (name: string, signal: AbortSignal): Promise<boolean> =>
      call(`/images/${encodeURI(name)}/json`, { signal }).then(
        () => true,
        (error: unknown) => (error instanceof EngineError && error.status === 404 ? false : Promise.reject(error)),
      ),
    /** Progress as JSON lines. The engine reports an error as a line, too. */
    pull: (image: string, tag: string, signal: AbortSignal): Promise<IncomingMessage> =>
      call("/images/create", {
        method: "POST",
        query: { fromImage: image, tag },
        body: {},
        stream: true,
        timeoutMs: 120_000,
        signal,
      }),
    /** Makes an image from a tar archive. */
    importImage: (repo: string, tag: string, tar: Uint8Array, signal: AbortSignal): Promise<IncomingMessage> =>
      call("/images/create", {
        method: "POST",
        query: { fromSrc: "-", repo, tag },
        file: tar,
        stream: true,
        timeoutMs: 120_000,
        signal,
      }),
  };
}

function connects({ socketPath, host = "127.0.0.1", port = 2375 }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath === undefined ? { host, port } : { path: socketPath });
    const tell = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2000, tell(false)).once("connect", tell(true)).once("error", tell(false));
  });
}

function engineError(error: Error): EngineError {
  if (error instanceof EngineError) return error;
  const { statusCode, json } = error as { statusCode?: number; json?: { message?: string } | null };
  return new EngineError(
    statusCode ?? 0,
    (json?.message ?? error.message).replace(/^\(HTTP code \d+\) \w+ - /, "").trim(),
    error,
  );
}

/** Turns any error of a call into an EngineError, the only error that callers see. */
export const toAppError = (thrown: unknown): AppError =>
  thrown instanceof EngineError
    ? new AppError("unavailable", "ENGINE_ERROR", `the container engine says: ${thrown.message}`, { cause: thrown })
    : AppError.from(thrown);

export const rethrow = (thrown: unknown): never => {
  throw toAppError(thrown);
};

/** Ignores the error if the container is gone. */
export const unlessGone = (thrown: unknown): void => {
  if (!(thrown instanceof EngineError) || thrown.status !== 404) throw thrown;
};
