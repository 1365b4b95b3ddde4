import { describe, expect, it } from "vitest";
import { RunView } from "./run-view.ts";
import type { TaskFacts } from "./run-view.ts";

let revision = 0;
const task = (id: string, facts: Partial<TaskFacts> = {}) => ({
  kind: "task" as const,
  task: {
    id,
    revision: ++revision,
    state: "placed" as const,
    attempt: 1,
    hostId: "h1",
    journalId: "j1",
    request: undefined,
    requestBy: "",
    isArray: false,
    ...facts,
  } satisfies TaskFacts,
});
const on = (view: RunView, hostId: string) => [...view.on(hostId)].map(({ id }) => id);

describe("RunView", () => {
  it("has on each host what is live there, whatever the order of states", () => {
    const view = new RunView();
    const old = task("1");
    for (const row of [task("1", { state: "running" }), old, task("2"), task("3", { hostId: "h2" })])
      view.apply(row, 0);
    expect(on(view, "h1")).toEqual(["1", "2"]);
    expect(view.get("1")!.state).toBe("running");
    view.apply(task("1", { state: "over" }), 0);
    view.apply(task("2", { attempt: 2, hostId: "h2" }), 0);
    expect(on(view, "h1")).toEqual([]);
    expect(on(view, "h2")).toEqual(["3", "2"]);
  });

  it("wakes hosts once for each request, an array's for all of its live elements", () => {
    const view = new RunView();
    for (const row of [
      task("7", { isArray: true, state: "running", hostId: "" }),
      task("7.1"),
      task("7.2", { hostId: "h2" }),
      task("8", { hostId: "h3" }),
    ])
      view.apply(row, 0);
    expect([...view.takeToWake()]).toEqual([]);
    view.apply(task("8", { hostId: "h3", request: "kill" }), 0);
    view.apply(task("8", { hostId: "h3", request: "kill", state: "running" }), 0);
    expect([...view.takeToWake()]).toEqual(["h3"]);
    view.apply(task("7", { isArray: true, state: "running", hostId: "", request: "kill" }), 0);
    expect([...view.takeToWake()]).toEqual(["h1", "h2"]);
    expect([...view.takeToWake()]).toEqual([]);
  });

  it("tells of placements that nobody took up, each once", () => {
    const view = new RunView();
    view.apply(task("1"), 1000);
    view.apply(task("2", { hostId: "h2" }), 1000);
    view.apply(task("3", { hostId: "h3" }), 1000);
    view.apply(task("4", { hostId: "h4" }), 5000);
    view.listed("2", 1);
    view.apply(task("3", { hostId: "h3", state: "running" }), 1500);
    expect([...view.takeNotTakenUp(3000)]).toEqual(["h1"]);
    expect([...view.takeNotTakenUp(4000)]).toEqual([]);
    view.apply(task("2", { hostId: "h2", attempt: 2 }), 6000); // placed again: taken up in its first attempt only
    expect([...view.takeNotTakenUp(6000)]).toEqual(["h4", "h2"]);
  });

  it("forgets an array when it and all of its elements are over", () => {
    const view = new RunView();
    for (const row of [
      task("7", { isArray: true, state: "running", hostId: "", request: "kill" }),
      task("7.1"),
      task("7", { isArray: true, state: "over", hostId: "" }),
    ])
      view.apply(row, 0);
    expect(view.liveCount).toBe(1);
    view.apply(task("7.1", { state: "over" }), 0);
    view.apply(task("7.1", { attempt: 2 }), 0);
    expect(view.asked(view.get("7.1")!)).toBeUndefined();
  });

  it("knows which hosts count as up", () => {
    const view = new RunView();
    view.apply({ kind: "host", host: { id: "h1", revision: 5, up: true, agentId: "" } }, 0);
    view.apply({ kind: "host", host: { id: "h2", revision: 6, up: false, agentId: "" } }, 0);
    view.apply({ kind: "host", host: { id: "h1", revision: 4, up: false, agentId: "" } }, 0);
    expect([...view.upHosts()]).toEqual(["h1"]);
  });
});
