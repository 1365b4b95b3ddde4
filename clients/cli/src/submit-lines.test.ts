import { Readable } from "node:stream";
import type { SubmitTasksRequest } from "@berth/contracts/api";
import type { Berth } from "@berth/sdk";
import { afterEach, describe, expect, it, vi } from "vitest";
import { submitLines } from "./submit-lines.ts";

/** A server that refuses the name `bad`. */
function server() {
  const calls: SubmitTasksRequest[] = [];
  let next = 1;
  const tasks = {
    async submitTasks(request: SubmitTasksRequest) {
      calls.push(request);
      const results = request.tasks.map(({ spec }, at) =>
        spec!.name === "bad"
          ? {
              taskId: "",
              existing: false,
              failure: { code: "denied", reason: "NO", message: `tasks[${at}].spec.name: is bad`, metadata: {} },
            }
          : { taskId: String(next++), existing: false },
      );
      return { results };
    },
  };
  return { berth: { tasks } as unknown as Berth, calls };
}

let out = "";
function capture(): void {
  out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((out += String(text))) || true);
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
}
afterEach(() => vi.restoreAllMocks());
const options = { wish: {}, dryRun: false, json: false };

describe("submitLines", () => {
  it("answers each line in order, and exits by the first that failed", async () => {
    capture();
    const { berth, calls } = server();
    const lines = ['{"command":["a"]}', "nonsense", "", '{"command":["b"],"name":"bad"}', '{"command":["c"]}'].join(
      "\n",
    );
    expect(await submitLines(berth, Readable.from([lines]), options)).toBe(2);
    const said = out.trimEnd().split("\n");
    expect(said).toEqual(["1", expect.stringMatching(/^error: not JSON/), "error: name: is bad", "2"]);
    expect(calls).toHaveLength(1);
  });

  it("sends a thousand lines in one call, each to be repeated without harm", async () => {
    capture();
    const { berth, calls } = server();
    expect(await submitLines(berth, Readable.from(['{"command":["a"]}\n'.repeat(1000)]), options)).toBe(0);
    expect(calls.map(({ tasks }) => tasks.length)).toEqual([1000]);
    expect(new Set(calls[0]!.tasks.map(({ requestId }) => requestId)).size).toBe(1000);
    expect(out.trimEnd().split("\n")).toHaveLength(1000);
  });

  it("cuts more into calls that the server takes, in order, as JSON if asked", async () => {
    capture();
    const { berth, calls } = server();
    await submitLines(berth, Readable.from(['{"command":["a"]}\n'.repeat(12_000)]), { ...options, json: true });
    expect(calls.map(({ tasks }) => tasks.length)).toEqual([5000, 5000, 2000]);
    expect(
      out
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { taskId: string }).taskId)
        .at(-1),
    ).toBe("12000");
  });
});
