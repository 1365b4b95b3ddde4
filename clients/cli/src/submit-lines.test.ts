import { Readable } from "node:stream";
import { SubmitTasksRequest } from "@berth/contracts/api";
import { maxMessageBytes } from "@berth/contracts/channel";
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
              warnings: [],
              failure: { code: "denied", reason: "NO", message: `tasks[${at}].spec.name: is bad`, metadata: {} },
            }
          : { taskId: String(next++), existing: false, warnings: [] },
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
    expect(said).toEqual(["1", expect.stringMatching(/^error: line 2: not JSON/), "error: line 4: name: is bad", "2"]);
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

  it("measures a call in encoded bytes, options for all lines included", async () => {
    capture();
    const { berth, calls } = server();
    const wish = { env: { DATA: "é".repeat(2_000) } };
    await submitLines(berth, Readable.from(['{"command":["a"]}\n'.repeat(5_000)]), { ...options, wish });
    const sizes = calls.map((call) => SubmitTasksRequest.encode(call).finish().length);
    expect(calls.reduce((sum, { tasks }) => sum + tasks.length, 0)).toBe(5_000);
    expect(Math.max(...sizes)).toBeLessThan(maxMessageBytes);
    expect(sizes.length).toBeGreaterThan(1);
  });

  it("names the line that is too large for any call, or not UTF-8, and takes the others", async () => {
    capture();
    const { berth, calls } = server();
    const big = JSON.stringify({ command: ["a"], env: { A: "x".repeat(maxMessageBytes) } });
    const lines = Buffer.concat([
      Buffer.from(`${big}\n{"command":["b"]}\n{"command":["`),
      Buffer.from([0xff]),
      Buffer.from('"]}\n{"command":["c"]}'),
    ]);
    expect(await submitLines(berth, Readable.from([lines]), options)).toBe(2);
    expect(out.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^error: line 1: line: is too long/),
      "1",
      "error: line 3: line: must be UTF-8; byte 0xFF at offset 13",
      "2",
    ]);
    expect(calls.flatMap(({ tasks }) => tasks.map(({ spec }) => spec!.command[0]))).toEqual(["b", "c"]);
  });

  it("splits lines at \\n only", async () => {
    capture();
    const { berth, calls } = server();
    const line = '{"command":["a\u2028b","c\u2029d"]}';
    expect(await submitLines(berth, Readable.from([`${line}\r\n${line}`]), options)).toBe(0);
    expect(calls[0]!.tasks.map(({ spec }) => spec!.command)).toEqual([
      ["a\u2028b", "c\u2029d"],
      ["a\u2028b", "c\u2029d"],
    ]);
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
