import { join } from "node:path";
import { coreUser, leaderOf, ledgerTask, metric, Recorder, startCore, startHeldLink, until } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { expectNothingAmiss } from "./nothing-amiss.ts";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const tasks = slow ? 1_500 : 500;
const capacity = 24;
/** So many ends are told of tasks that may be the other leader's, before the plan of the stopped one arrives. */
const behind = 250;

describe("a leader that is stopped for longer than its lease while tasks fill the capacity", () => {
  it(`is followed by the other; the plan that it had sent is refused, and ${tasks} tasks run once`, async () => {
    await using core = await startCore({
      names: ["storage", "auth", "gateway", "watcher", "agent"],
      later: ["scheduler", "scheduler2"],
      env: { BERTH_CAPACITY_CPU: String(capacity), BERTH_CAPACITY_MEMORY: "16G", BERTH_LEASE_TTL_MS: "1500" },
    });
    await using link = await startHeldLink(core.addressOf("storage"), `unix:${join(core.dir, "link.sock")}`);
    await core.start("scheduler", { BERTH_STORAGE: link.address });
    const { leader, standby, term } = await leaderOf(core);
    await core.start("scheduler2");
    const { berth } = await coreUser(core);
    const recorder = new Recorder(berth, join(core.dir, "scratch", "ledger"));
    await recorder.watch("w");
    const spec = ledgerTask("0.1");
    await recorder.submit(Array.from({ length: tasks }, (_, n) => ({ requestId: `r${n}`, spec })));
    await until(() => recorder.endsOf("w") >= capacity / 2, "some to have ended");

    link.hold();
    // A host's name is in plans alone, of all that a scheduler tells storage.
    await until(() => link.holds("host-1"), "a plan to be on its way");
    core.signal(leader, "SIGSTOP");
    await until(
      async () => (await metric(core, standby, "berth_scheduler_term")) > term,
      "the standby to lead",
      10_000,
    );
    const before = recorder.endsOf("w");
    await until(() => recorder.endsOf("w") >= before + behind, "the new leader to place");
    expect(await berth.tasks.explainTask({ taskId: recorder.taskIds.at(-1)! }).then(() => "told", String)).toMatch(
      /told|does not wait/,
    ); // the stopped one is asked first or second, and left
    link.release();
    core.signal(leader, "SIGCONT");

    await until(async () => (await metric(core, leader, "berth_scheduler_stale_term_total")) > 0, "a stale plan");
    expect(core.logOf(leader)).toContain("storage refused a plan of an older term");
    await until(async () => (await metric(core, leader, "berth_scheduler_term")) === 0, "it to stand by");
    await expectNothingAmiss(recorder, tasks, { capacity });
    berth.close();
  });
});
