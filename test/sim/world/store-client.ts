import { TaskStoreServiceService } from "@berth/contracts/store";
import type { ChangesResponse, SnapshotResponse } from "@berth/contracts/store";
import type { GrpcClient, ServiceImplementation } from "@berth/runtime";
import type { Network, Node } from "./network.ts";
import type { Life } from "./time.ts";

export type StoreClient = GrpcClient<typeof TaskStoreServiceService>;
export type StoreService = ServiceImplementation<typeof TaskStoreServiceService>;

export interface StoreClientOptions {
  readonly network: Network;
  readonly from: Node;
  readonly storage: Node;
  /** What that process serves; of a dead one, undefined. */
  readonly serviceOf: (life: Life) => StoreService | undefined;
  /** Called before and after each call is sent: the process may be killed there. */
  readonly onWrite: (when: "before" | "after", method: string) => void;
  /** Told of the revision up to which the reader has read. */
  readonly onRead: (revision: number) => void;
  readonly trace: (what: string) => void;
}

type Method = keyof typeof TaskStoreServiceService;
type Handler = (request: unknown, context: { readonly signal: AbortSignal }) => unknown;
type Message = { readonly token?: string; readonly changes?: readonly unknown[] };

const usualDeadlineMs = 10_000;
const never = new AbortController().signal;

/** Storage's client as production code knows it, over the simulated network; each message goes through its wire form. */
export function storeClient(options: StoreClientOptions): StoreClient {
  const { network, from, storage, serviceOf, onWrite, onRead, trace } = options;

  const unary =
    (method: Method) =>
    (request: unknown, extras: { readonly signal?: AbortSignal; readonly deadlineMs?: number } = {}) => {
      const { requestSerialize, requestDeserialize, responseSerialize, responseDeserialize } = codecOf(method);
      const bytes = requestSerialize(request);
      const caller = network.time.current;
      onWrite("before", method);
      trace(`${from.name} calls ${method}${detail(method, request)}`);
      const answer = network.call(
        from,
        storage,
        method,
        { deadlineMs: extras.deadlineMs ?? usualDeadlineMs, signal: extras.signal },
        async (life) => {
          const handler = serviceOf(life)![method] as Handler;
          return responseSerialize(await handler(requestDeserialize(bytes), { signal: never }));
        },
      );
      if (caller.alive) onWrite("after", method);
      return answer.then(responseDeserialize);
    };

  const streamed =
    (method: "snapshot" | "changes") =>
    (request: unknown, { signal = never }: { readonly signal?: AbortSignal } = {}) =>
      network.stream<SnapshotResponse | ChangesResponse>(
        from,
        storage,
        method,
        signal,
        (stop) =>
          copied(
            codecOf(method),
            (life) => (serviceOf(life)![method] as Handler)(request, { signal: stop }) as AsyncIterable<unknown>,
            network,
          ),
        (part) => {
          const { token } = part as Message;
          if (token) onRead(Number(token.slice(token.lastIndexOf(".") + 1)));
        },
      );

  const client: Record<string, unknown> = {};
  for (const method of Object.keys(TaskStoreServiceService) as Method[])
    client[method] = method === "snapshot" || method === "changes" ? streamed(method) : unary(method);
  return client as unknown as StoreClient;
}

interface Codec {
  readonly requestSerialize: (message: unknown) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (message: unknown) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

const codecOf = (method: Method): Codec => TaskStoreServiceService[method] as unknown as Codec;

async function* copied(
  { responseSerialize, responseDeserialize }: Codec,
  open: (life: Life) => AsyncIterable<unknown>,
  network: Network,
): AsyncGenerator<SnapshotResponse | ChangesResponse> {
  for await (const part of open(network.time.current))
    yield responseDeserialize(responseSerialize(part)) as SnapshotResponse | ChangesResponse;
}

/** The part of a call that is shown in the trace. */
function detail(method: Method, request: unknown): string {
  if (method === "commitPlan") {
    const { term, placements, ends } = request as {
      term: number;
      placements: { taskId: string; attempt: number; hostId: string }[];
      ends: { taskId: string }[];
    };
    const placed = placements.map(({ taskId, attempt, hostId }) => `${taskId}#${attempt}@${hostId}`);
    return ` term ${term}: ${[...placed, ...ends.map(({ taskId }) => `end ${taskId}`)].join(" ")}`;
  }
  if (method === "loseRuns") return ` ${JSON.stringify(request)}`;
  return "";
}
