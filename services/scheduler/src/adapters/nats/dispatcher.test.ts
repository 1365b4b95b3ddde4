import { AppError } from "@berth/core";
import type { AssignRequest } from "@berth/contracts/agent";
import { RunSpec } from "@berth/contracts/types";
import type { Bus } from "@berth/nats";
import { silentLogger } from "@berth/runtime";
import { describe, expect, it } from "vitest";
import { natsDispatcher, split } from "./dispatcher.ts";

const spec = (name: string, bytes = 0): RunSpec => RunSpec.fromPartial({ spec: { name, script: "x".repeat(bytes) } });
const message = (names: readonly string[], uses: readonly number[], term = 1): AssignRequest => ({
  term,
  specs: names.map((name) => spec(name)),
  assignments: uses.map((specIndex, at) => ({
    run: { epoch: "e", taskId: `${at + 1}`, attempt: 1 },
    specIndex,
    journalId: "j",
  })),
});
/** Which spec each assignment means. */
const meant = ({ specs, assignments }: AssignRequest) =>
  assignments.map(({ run, specIndex }) => `${run!.taskId}:${specs[specIndex]!.spec!.name}`);

function fakeBus() {
  const sent: { host: string; message: AssignRequest; answer: (error?: Error) => void }[] = [];
  const bus = {
    request: (_: unknown, host: string, asked: AssignRequest) =>
      new Promise((resolve, reject) =>
        sent.push({ host, message: asked, answer: (error) => (error ? reject(error) : resolve({})) }),
      ),
  } as unknown as Bus;
  return { bus, sent };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("natsDispatcher", () => {
  it("has one request a host under way, and puts what comes meanwhile into one", async () => {
    const { bus, sent } = fakeBus();
    const { send } = natsDispatcher({ bus, logger: silentLogger });
    send([
      { hostId: "h1", message: message(["a"], [0]) },
      { hostId: "h2", message: message(["b"], [0]) },
    ]);
    send([{ hostId: "h1", message: message(["c"], [0]) }]);
    send([{ hostId: "h1", message: message(["d", "e"], [1, 0]) }]);
    expect(sent.map(({ host }) => host)).toEqual(["h1", "h2"]);
    sent[0]!.answer();
    await turn();
    expect(sent).toHaveLength(3);
    expect(meant(sent[2]!.message)).toEqual(["1:c", "1:e", "2:d"]);
  });

  it("keeps messages of different terms apart", async () => {
    const { bus, sent } = fakeBus();
    const { send } = natsDispatcher({ bus, logger: silentLogger });
    for (const term of [1, 2, 3]) send([{ hostId: "h1", message: message(["a"], [0], term) }]);
    for (const at of [0, 1]) {
      sent[at]!.answer();
      await turn();
    }
    expect(sent.map(({ message: { term } }) => term)).toEqual([1, 2, 3]);
  });

  it("leaves what an agent does not confirm to the watcher", async () => {
    const { bus, sent } = fakeBus();
    const undelivered: string[] = [];
    const { send } = natsDispatcher({
      bus,
      logger: silentLogger,
      onUndelivered: (hostId, count) => undelivered.push(`${hostId} ${count}`),
    });
    send([{ hostId: "h1", message: message(["a"], [0, 0]) }]);
    sent[0]!.answer(new AppError("unavailable", "NO_RESPONDER", "nobody"));
    await turn();
    expect(undelivered).toEqual(["h1 2"]);
    send([{ hostId: "h1", message: message(["a"], [0]) }]);
    expect(sent).toHaveLength(2);
  });
});

describe("split", () => {
  it("cuts what is too much for one message, each part with the specs that it needs", () => {
    const many = message(
      ["a", "b", "c"],
      Array.from({ length: 1100 }, (_, at) => at % 3),
    );
    const parts = split(many);
    expect(parts.every(({ assignments }) => assignments.length <= 500)).toBe(true);
    expect(parts.flatMap(meant)).toEqual(meant(many));
    const large: AssignRequest = { ...message([], [0, 1]), specs: [spec("a", 400_000), spec("b", 400_000)] };
    expect(split(large).map(({ specs }) => specs.map((each) => each.spec!.name))).toEqual([["a"], ["b"]]);
    expect(split(message(["a"], [0]))).toHaveLength(1);
  });
});
