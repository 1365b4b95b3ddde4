import { coreUser, faultsOf, mulberry32, Recorder, startCore } from "@berth/test-support";
import type { CoreName } from "@berth/test-support";
import { describe, expect, it } from "vitest";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const rounds = slow ? 30 : 6;
const flights = 8;
const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

/** Kill -9 of a storage in the middle of submits; `copies` are killed in turn. */
export function describeStorageKills(
  database: string,
  copies: readonly CoreName[],
  prepare: () => Promise<{
    readonly env: Readonly<Record<string, string>>;
    close(): Promise<void>;
  }>,
): void {
  describe(`storage on ${database}, killed under submits`, () => {
    it(`keeps what it acknowledged, once, in ${rounds} rounds (seed ${seed})`, { timeout: 600_000 }, async () => {
      const random = mulberry32(seed);
      const prepared = await prepare();
      {
        await using core = await startCore({ names: [...copies, "auth", "gateway"], env: prepared.env });
        const { berth } = await coreUser(core);
        const recorder = new Recorder(berth);
        const specOf = (n: number) => ({ command: ["echo", String(n)] });
        const unknown = new Set<number>();
        const known: number[] = [];
        let next = 0;
        /** No patience: what is lost on its way stays unknown until it is submitted again. */
        const submit = async (numbers: readonly number[], call = { patienceMs: 0, deadlineMs: 8_000 }) => {
          const tasks = numbers.map((n) => ({ requestId: `r${n}`, spec: specOf(n) }));
          const told = recorder.told.length;
          await recorder.submit(tasks, call);
          const heard = new Set(
            recorder.told.slice(told).flatMap((one) => (one.kind === "submit" ? [one.requestId] : [])),
          );
          for (const n of numbers) {
            if (!heard.has(`r${n}`)) unknown.add(n);
            else {
              unknown.delete(n);
              known.push(n);
            }
          }
        };
        for (let round = 0; round < rounds; round++) {
          const victim = copies[round % copies.length]!;
          let ends = false;
          const flying = Array.from({ length: flights }, async () => {
            while (!ends) await submit(Array.from({ length: 1 + Math.floor(random() * 20) }, () => next++));
          });
          await new Promise((resolve) => setTimeout(resolve, 100 + random() * 400));
          await core.kill(victim);
          ends = true;
          await core.start(victim);
          await Promise.all(flying);
          const patient = { patienceMs: 30_000, deadlineMs: 60_000 };
          const again = [...unknown, ...Array.from({ length: 20 }, () => known[Math.floor(random() * known.length)]!)];
          await submit(again, patient);
          expect([...unknown], recorder.unanswered.slice(-3).join("; ")).toEqual([]);
          // The same key with another spec is refused, whether or not its first answer came.
          const other = Array.from({ length: 10 }, () => again[Math.floor(random() * again.length)]!);
          const told = recorder.told.length;
          await recorder.submit(
            other.map((n) => ({ requestId: `r${n}`, spec: specOf(n + 0.5) })),
            patient,
          );
          const answers = recorder.told.slice(told).map((one) => (one.kind === "submit" ? one.refusal : ""));
          expect(answers).toEqual(other.map(() => "CLIENT_KEY_CONFLICT"));
        }
        // By now every key was answered, so a task without a known key was made twice, or without a submit.
        const history = await recorder.history({ mayHaveUntold: false });
        expect(faultsOf(history)).toEqual([]);
        expect(history.stored).toHaveLength(next);
        berth.close();
      }
      await prepared.close();
    });
  });
}
