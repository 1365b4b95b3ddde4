import { describe, expect, it } from "vitest";
import { withRequestIds } from "./call-errors.ts";

const path = (name: string) => `/berth.api.v1.TaskService/${name}`;

describe("withRequestIds", () => {
  it("names what is to be submitted, once each, and leaves names that are there", () => {
    const { requestId } = withRequestIds(path("SubmitTask"), { spec: {}, requestId: "", dryRun: false });
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    const { tasks } = withRequestIds(path("SubmitTasks"), {
      tasks: [{ requestId: "mine" }, { requestId: "" }, { requestId: "" }],
    });
    expect(tasks[0]!.requestId).toBe("mine");
    expect(new Set(tasks.map((task) => task.requestId)).size).toBe(3);
  });

  it("leaves a dry run and every other call alone", () => {
    const dry = { requestId: "", dryRun: true };
    expect(withRequestIds(path("SubmitTask"), dry)).toBe(dry);
    const other = { taskIds: ["1"] };
    expect(withRequestIds(path("RequestTasks"), other)).toBe(other);
  });
});
