import { AppError } from "@berth/core";
import { toFailure } from "@berth/contracts";
import { SubmitTaskRequest, TaskServiceService } from "@berth/contracts/api";
import type { SubmitTasksRequest } from "@berth/contracts/api";
import { bindService, Closing, serveGrpc, silentLogger } from "@berth/runtime";
import type { ServiceImplementation } from "@berth/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectBerth } from "./connect.ts";

const away = new AppError("unavailable", "PEER_UNAVAILABLE", "storage does not answer");

describe("connectBerth", () => {
  let closing: Closing;
  beforeEach(() => void (closing = new Closing()));
  afterEach(() => closing.close());

  /** A gateway that keeps the request ids it was sent, and fails the first so many items. */
  async function gateway(options: { readonly openItems?: number; readonly on?: Closing } = {}) {
    let open = options.openItems ?? 0;
    const asked: string[][] = [];
    const others = Object.keys(TaskServiceService).map((name) => [name, () => Promise.reject(away)]);
    const tasks = {
      ...Object.fromEntries(others),
      async submitTask({ requestId }: SubmitTaskRequest) {
        asked.push([requestId]);
        return { taskId: "1", existing: false, warnings: [] };
      },
      async submitTasks(request: SubmitTasksRequest) {
        asked.push(request.tasks.map(({ requestId }) => requestId));
        const results = request.tasks.map((_, at) =>
          open-- > 0
            ? { taskId: "", existing: false, warnings: [], failure: toFailure(away) }
            : { taskId: String(at + 1), existing: false, warnings: [] },
        );
        return { results };
      },
    };
    const { address } = await serveGrpc({
      admit: () => ({ user: "a test" }),
      address: "127.0.0.1:0",
      services: [bindService(TaskServiceService, tasks as unknown as ServiceImplementation<TaskServiceService>)],
      logger: silentLogger,
      closing: options.on ?? closing,
      drainMs: 0,
    });
    return { address, asked };
  }
  const connect = (address: string, patienceMs = 3_000) => {
    const berth = connectBerth({ address, credential: "key", patienceMs });
    closing.add(() => berth.close());
    return berth;
  };
  const task = SubmitTaskRequest.fromPartial({});

  it("goes on at another gateway where one is gone, whatever its patience", async () => {
    const gone = new Closing();
    const [one, two] = [await gateway({ on: gone }), await gateway()];
    const berth = connect(`${one.address},${two.address}`, 0);
    for (let n = 0; n < 4; n++) await berth.tasks.submitTask(task);
    expect([one.asked.length > 0, two.asked.length > 0]).toEqual([true, true]);
    await gone.close();
    const before = two.asked.length;
    for (let n = 0; n < 4; n++) await berth.tasks.submitTask(task);
    expect(two.asked.length).toBe(before + 4);
  });

  it("names each submit, and says the same name again", async () => {
    const { address, asked } = await gateway({ openItems: 3 });
    const { results } = await connect(address).tasks.submitTasks({ tasks: [task, task] });
    expect(results.map(({ taskId }) => taskId)).toEqual(["1", "2"]);
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map((ids) => ids.join(" "))).size).toBe(1);
    expect(new Set(asked[0]).size).toBe(2);
  });

  it("says what stays open after its patience", async () => {
    const { address, asked } = await gateway({ openItems: 1_000 });
    const { results } = await connect(address, 150).tasks.submitTasks({ tasks: [task] });
    expect(results[0]!.failure).toMatchObject({ code: "unavailable" });
    expect(asked.length).toBeGreaterThan(1);
  });
});
