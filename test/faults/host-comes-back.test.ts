import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Outcome } from "@berth/contracts/types";
import {
  apiOf,
  getTask,
  killKeepers,
  killProcessesOf,
  startCluster,
  submit,
  ticker,
  ticksOf,
  until,
  whenOver,
  whenRunning,
} from "@berth/test-support";
import type { Api, Wish } from "@berth/test-support";
import { describe, expect, it } from "vitest";

/** To tell a process of another boot takes a mount of its own. */
const mayMount = spawnSync("unshare", ["--mount", "true"]).status === 0;
const leased: Wish = { onHostLost: "ON_HOST_LOST_RETRY", hostLeaseMs: 10_000 };

/** A host that is there again, but not as it was. */
describe("a host that comes back", () => {
  it.skipIf(!mayMount && !process.env["CI"])(
    "from a boot, with nothing that ran: that is lost, and retried where asked",
    async () => {
      await using cluster = await startCluster({ driver: "process" });
      const api = apiOf(cluster);
      const plain = await submit(api, ticker("plain", 5_000));
      const again = await submit(api, ticker("again", 20, leased));
      for (const id of [plain, again]) await whenRunning(api, id);
      for (const name of ["supervisor", "agent"] as const) await cluster.kill(name);
      killKeepers(join(cluster.data, "agent", "keepers"));
      killProcessesOf(cluster.data);
      // What the kernel says of its boot, for all that is started from here on.
      const bootId = join(cluster.data, "boot-id");
      writeFileSync(bootId, "5a1d0c0e-0000-4000-8000-00000000b007\n");
      const mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
      const up = await cluster.berth(["up"], { through: ["unshare", "--mount", "sh", "-c", mount, bootId] });
      expect(up).toMatchObject({ code: 0 });
      const reason = { code: "HOST_REBOOTED" };
      expect(await whenOver(api, plain)).toMatchObject({ outcome: Outcome.LOST, reason, attempt: 1 });
      expect(await whenOver(api, again, 60_000)).toMatchObject({
        outcome: Outcome.SUCCEEDED,
        attempt: 2,
        attempts: [{ attempt: 1, outcome: Outcome.LOST, reason }],
      });
      expect(ticksOf(cluster, "again").filter((line) => line === "2")).toHaveLength(20);
      await isEmpty(api);
      api.close();
    },
  );

  it("without its journal: takes over what runs, reports ends, reports missing runs as lost, runs nothing twice", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const loseJournal = async (alsoLost: () => void) => {
      for (const name of ["supervisor", "agent"] as const) await cluster.kill(name);
      for (const end of ["", "-wal", "-shm"]) rmSync(join(cluster.data, "agent", `journal.db${end}`), { force: true });
      alsoLost();
      expect(await cluster.up()).toMatchObject({ code: 0 });
    };
    const [plain, kept, killed] = [
      await submit(api, ticker("plain", 100)),
      await submit(api, ticker("kept", 100, leased)),
      await submit(api, ticker("killed", 5_000)),
    ];
    for (const id of [plain, kept, killed]) await whenRunning(api, id);
    await loseJournal(() => killProcessesOf(cluster.data, `-${killed}-1`));
    expect(await whenOver(api, killed)).toMatchObject({ outcome: Outcome.FAILED, signal: 9, attempt: 1 });
    for (const [id, name] of [
      [plain, "plain"],
      [kept, "kept"],
    ] as const) {
      expect(await whenOver(api, id, 60_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      expect(ticksOf(cluster, name)).toEqual(Array.from({ length: 100 }, () => "1"));
    }
    const gone = await submit(api, ticker("gone", 5_000));
    await whenRunning(api, gone);
    await loseJournal(() => {
      killKeepers(join(cluster.data, "agent", "keepers"));
      killProcessesOf(cluster.data);
      rmSync(join(cluster.data, "agent", "keepers"), { recursive: true });
    });
    const reason = { code: "JOURNAL_LOST" };
    expect(await whenOver(api, gone, 60_000)).toMatchObject({ outcome: Outcome.LOST, reason, attempt: 1 });
    await isEmpty(api);
    api.close();
  });

  it("with another time of day: limits and leases go on, and no run seems to end before it began", async () => {
    await using cluster = await startCluster({ driver: "process" });
    expect((await cluster.down()).code).toBe(0);
    const [offset, clock] = [join(cluster.data, "offset"), join(cluster.data, "clock.mjs")];
    writeFileSync(offset, "0");
    writeFileSync(clock, clockModule(offset));
    const file = JSON.parse(readFileSync(cluster.layout.clusterFile, "utf8")) as object;
    const settings = { agent: { NODE_OPTIONS: `--import=${clock}` } };
    writeFileSync(cluster.layout.clusterFile, JSON.stringify({ ...file, settings }));
    expect(await cluster.up()).toMatchObject({ code: 0 });
    const api = apiOf(cluster);
    const limited = await submit(api, ticker("limited", 5_000, { timeLimitMs: 6_000 }));
    const lasting = await submit(api, ticker("lasting", 180, leased));
    for (const id of [limited, lasting]) await whenRunning(api, id);
    for (const hours of [1, -2, 0]) {
      writeFileSync(offset, String(hours * 3_600_000));
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    }
    writeFileSync(offset, String(3_600_000));
    const ended = await whenOver(api, limited);
    expect(ended).toMatchObject({ outcome: Outcome.TIMED_OUT, attempt: 1 });
    expect(ticksOf(cluster, "limited").length).toBeGreaterThan(30);
    expect(ended.endTime!.getTime() - ended.startTime!.getTime()).toSatisfy((ms: number) => ms >= 5_900 && ms < 30_000);
    const done = await whenOver(api, lasting, 60_000);
    expect(done).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    expect(ticksOf(cluster, "lasting")).toHaveLength(180);
    expect(done.endTime!.getTime()).toBeGreaterThan(done.startTime!.getTime());
    expect((await getTask(api, lasting)).attempts).toEqual([]);
    api.close();
  });
});

const isEmpty = (api: Api) =>
  until(async () => {
    const [host] = (await api.hosts.listHosts({})).hosts;
    return host?.liveTasks === 0 && host.unknownRuns.length === 0;
  }, "the host to have nothing left");

/** The time of day of the process that loads it is off by what the file says, from when it says so. */
const clockModule = (offset: string): string => `
import { readFileSync } from "node:fs";
const Real = Date;
const now = () => Real.now() + Number(readFileSync(${JSON.stringify(offset)}, "utf8"));
globalThis.Date = class extends Real {
  constructor(...args) { super(...(args.length === 0 ? [now()] : args)); }
  static now() { return now(); }
};
`;
