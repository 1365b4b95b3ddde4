import { foreseeFind, findTask, wholeMessage, foreseeWhole } from "../decisions/find-task.ts";
import { acquireLease, releaseLease } from "../decisions/lease.ts";
import { foreseeLookUp, lookUpRuns } from "../decisions/look-up.ts";
import { isLossDue, loseRuns } from "../decisions/lose-runs.ts";
import { commitPlan, foreseePlan } from "../decisions/plan.ts";
import { stateOf } from "../decisions/record/codes.ts";
import { foreseeRequest, requestOne } from "../decisions/request.ts";
import { foreseeArchive, archiveOne, foreseeDelete, deleteOne } from "../decisions/retire.ts";
import { foreseeSubmit, submitOne } from "../decisions/submit.ts";
import { applyReport, foreseeReport } from "../decisions/take-report.ts";
import { changeLimit } from "../decisions/update.ts";
import type { Engine } from "../ports/engine.ts";
import type { TaskStore } from "../ports/task-store.ts";
import { listTasks } from "./list-tasks.ts";
import { logStateOf, takeEach, visibleTo } from "./store-answers.ts";

const nothing = () => {};
const countTrue = (results: readonly boolean[]): number => results.filter(Boolean).length;

/** The store of tasks over a database: which decision answers which call. The same for every engine. */
export function makeTaskStore(engine: Engine): TaskStore {
  const { epoch } = engine;
  const get: TaskStore["get"] = ({ taskId, user }) =>
    engine.ask(
      (look) => foreseeWhole(look, taskId),
      (records) => wholeMessage(records, visibleTo(user, taskId, findTask(records, taskId))),
    );
  return {
    epoch,
    reserveId: () => engine.reserveNumber(),
    submit: (tasks) => engine.writeEach(tasks, foreseeSubmit, submitOne),
    commitPlan: (plan) =>
      engine.write({
        foresee: (look) => foreseePlan(look, plan),
        decide: (records) => commitPlan(records, epoch, plan),
        weight: plan.placements.length + plan.ends.length,
        isUrgent: true,
      }),
    applyReports: ({ reports }) =>
      takeEach(reports, (report) =>
        engine.write({
          foresee: (look) => foreseeReport(look, epoch, report),
          decide: (records) => applyReport(records, epoch, report),
          weight: report.statuses.length,
        }),
      ),
    request: async (request) => ({
      results: await engine.writeEach(request.taskIds, foreseeRequest, (records, id) =>
        requestOne(records, id, request),
      ),
    }),
    async updateTask(request) {
      await engine.write({
        foresee: (look) => foreseeRequest(look, request.taskId),
        decide: (records) => changeLimit(records, request),
      });
      return get({ taskId: request.taskId, user: "" });
    },
    async loseRuns(request) {
      const silentMs = await engine.silenceOf(request.hostId);
      // Asked often, and nearly always answered with no: then nothing is written.
      const isDue = await engine.ask(nothing, (records) => isLossDue(records, silentMs(records.at), request));
      if (!isDue) return { retried: [], lost: [] };
      return engine.write({
        foresee: (look) => look.liveOn(request.hostId),
        decide: (records) => loseRuns(records, epoch, silentMs(records.at), request),
      });
    },
    fold: (limit) => engine.fold(limit),
    expired: (afterMs, limit) => engine.expired(afterMs, limit),
    archive: async (taskIds) => countTrue(await engine.writeEach(taskIds, foreseeArchive, archiveOne)),
    async deleteRecords(afterMs, limit) {
      const { numbers, more } = await engine.deletable(afterMs, limit);
      return { done: countTrue(await engine.writeEach(numbers, foreseeDelete, deleteOne)), more };
    },
    syncHosts: (request) => engine.syncHosts(request),
    acquireLease: (request) => engine.write({ decide: (records) => acquireLease(records, request) }),
    releaseLease: (request) => engine.write({ decide: (records) => releaseLease(records, request) }),
    snapshot: (signal) => engine.snapshot(signal),
    changes: (request, signal) => engine.changes(request, signal),
    get,
    async list(request) {
      const watchToken = await engine.token(); // before the page: what changes meanwhile is told again
      return { ...(await listTasks(engine, request)), watchToken };
    },
    lookUpRuns: (request) =>
      engine.askNow(
        (look) => foreseeLookUp(look, epoch, request),
        (records) => lookUpRuns(records, epoch, request),
      ),
    listHosts: () => engine.listHosts(),
    async countTasks({ user }) {
      const byState: Record<string, number> = {};
      for (const { state, n } of await engine.counts(user))
        byState[stateOf(state)] = (byState[stateOf(state)] ?? 0) + n;
      return { byState };
    },
    logState: (taskId) =>
      engine.ask(
        (look) => foreseeFind(look, taskId),
        (records) => {
          const found = findTask(records, taskId);
          return found && logStateOf(found);
        },
      ),
    nextCommit: (signal, ms) => engine.nextCommit(signal, ms),
  };
}
