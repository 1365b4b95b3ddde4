import { AppError } from "@berth/core";
import { Change, TaskStoreServiceService } from "@berth/contracts/store";
import type { ChangesResponse, SnapshotResponse } from "@berth/contracts/store";
import { TaskState } from "@berth/contracts/types";
import { afterEach, describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";
import { followFeed } from "./follow-feed.ts";
import type { FeedReader } from "./follow-feed.ts";
import { grpcChannel, grpcClient } from "./grpc-client.ts";
import type { GrpcClient } from "./grpc-client.ts";
import { bindService, serveGrpc } from "./grpc-server.ts";
import { silentLogger } from "./logger.ts";
import { Problems } from "./problems.ts";

const closing = new Closing();
afterEach(() => closing.close());

const row = (revision: number): Buffer =>
  Buffer.from(
    Change.encode(
      Change.fromPartial({ revision, row: { $case: "task", value: { id: `${revision}`, state: TaskState.PENDING } } }),
    ).finish(),
  );
const part = (token: string, ...revisions: number[]): ChangesResponse => ({
  token,
  changes: revisions.map(row),
  startAgain: false,
});

/** Each stream that is opened plays the next script; after the last one it stays open. */
async function follow(snapshots: SnapshotResponse[][], streams: (ChangesResponse | Error)[][]) {
  const told: string[] = [];
  const asked: string[] = [];
  const stop = new AbortController();
  const done = Promise.withResolvers<void>();
  async function* changes({ token }: { token: string }, { signal }: { signal: AbortSignal }) {
    asked.push(token);
    const script = streams.shift();
    for (const each of script ?? []) {
      if (each instanceof Error) throw each;
      yield each;
    }
    if (!script) done.resolve();
    if (!script) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  }
  const unasked = () => Promise.reject(AppError.received("internal", "NOT_ASKED", "this test asks for the feed only"));
  const store = {
    ...Object.fromEntries(Object.keys(TaskStoreServiceService).map((name) => [name, unasked])),
    async *snapshot() {
      yield* snapshots.shift() ?? [];
    },
    changes,
  };
  const server = await serveGrpc({
    admit: () => ({ user: "a test" }),
    address: "127.0.0.1:0",
    services: [
      bindService(
        TaskStoreServiceService,
        store as unknown as Parameters<typeof bindService<typeof TaskStoreServiceService>>[1],
      ),
    ],
    logger: silentLogger,
    closing,
  });
  const client: GrpcClient<typeof TaskStoreServiceService> = grpcClient(
    TaskStoreServiceService,
    grpcChannel(server.address, { closing }),
    { service: "storage" },
  );
  const reader: FeedReader = {
    onStart: (epoch) => told.push(`start ${epoch}`),
    onChanges: (rows) => told.push(rows.map(({ revision }) => revision).join(",")),
    onCaughtUp: () => told.push("caught up"),
  };
  const problems = new Problems();
  const setAside = { add: (what: string) => void told.push(`aside ${what}`), clear: () => {} };
  const following = followFeed({
    store: client,
    reader,
    logger: silentLogger,
    setAside,
    problems,
    signal: stop.signal,
  });
  await done.promise;
  stop.abort(new Error("the test ends"));
  await following;
  return { told, asked, problems };
}

describe("followFeed", () => {
  it("takes a snapshot, then what came after the token of its first part", async () => {
    const snapshot = [
      { token: "e.5", epoch: "e", changes: [row(1), row(2)] },
      { token: "", epoch: "e", changes: [row(3)] },
    ];
    const { told, asked } = await follow([snapshot], [[part("e.6", 6), part("e.6")]]);
    expect(told).toEqual(["start e", "1,2", "3", "6", "caught up", "caught up"]);
    expect(asked).toEqual(["e.5", "e.6"]);
  });

  it("leaves out a row that cannot be decoded, and goes on with all others", async () => {
    const unsafe = Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]); // revision 2^56 - 1
    const snapshot = [{ token: "e.5", epoch: "e", changes: [row(1), unsafe, row(2)] }];
    const broken = { ...part("e.6", 6), changes: [row(6), Buffer.from([0xff]), row(7)] };
    const { told, problems } = await follow([snapshot], [[broken]]);
    expect(told).toEqual(["start e", "aside a row of 9 bytes", "1,2", "aside a row of 1 bytes", "6,7", "caught up"]);
    expect(problems.list()).toEqual([]);
  });

  it("says that the feed fails, until it is heard again", async () => {
    const failing = AppError.received("internal", "SNAPSHOT_BROKEN", "a row is broken");
    const snapshot = () => [{ token: "e.5", epoch: "e", changes: [] }];
    const lost = await follow([snapshot()], [[failing]]);
    expect(lost.problems.list()).toMatchObject([{ code: "FEED_FAILED" }]);
    const heard = await follow([snapshot()], [[failing], [part("e.6", 6)]]);
    expect(heard.problems.list()).toEqual([]);
  });

  it("goes on from its token after a lost stream, without another snapshot", async () => {
    const { told, asked } = await follow(
      [[{ token: "e.0", epoch: "e", changes: [] }]],
      [[part("e.7", 7), AppError.received("unavailable", "AWAY", "storage stops")], [part("e.8", 8)]],
    );
    expect(asked).toEqual(["e.0", "e.7", "e.8"]);
    expect(told.filter((word) => word.startsWith("start"))).toEqual(["start e"]);
  });

  it("starts again where storage says so, as it does for a token of another database", async () => {
    const snapshots = [[{ token: "e.0", epoch: "e", changes: [] }], [{ token: "f.0", epoch: "f", changes: [row(1)] }]];
    const { told, asked } = await follow(snapshots, [[{ token: "", changes: [], startAgain: true }]]);
    expect(told).toEqual(["start e", "", "start f", "1"]);
    expect(asked).toEqual(["e.0", "f.0"]);
  });

  it("does not call a long part caught up: more is on its way", async () => {
    const long = Array.from({ length: 300 }, (_, at) => at + 1);
    const { told } = await follow(
      [[{ token: "e.0", epoch: "e", changes: [] }]],
      [[part("e.300", ...long), part("e.301", 301)]],
    );
    expect(told.filter((word) => word === "caught up")).toHaveLength(1);
    expect(told.at(-1)).toBe("caught up");
  });
});
