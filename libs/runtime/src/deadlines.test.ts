import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Deadlines } from "./deadlines.ts";

describe("Deadlines", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("calls each once, at its time, and not what was stopped or started anew", () => {
    const deadlines = new Deadlines(100);
    const called: string[] = [];
    const make = (name: string) => ({ onDue: () => void called.push(name) });
    const [first, stopped, again, last] = ["first", "stopped", "again", "last"].map(make);
    for (const each of [first!, stopped!, again!]) deadlines.start(each);
    deadlines.stop(stopped!);
    vi.advanceTimersByTime(60);
    deadlines.start(again!);
    deadlines.start(last!);
    vi.advanceTimersByTime(45);
    expect(called).toEqual(["first"]);
    vi.advanceTimersByTime(60);
    expect(called).toEqual(["first", "again", "last"]);
    vi.advanceTimersByTime(1_000);
    expect(called.length).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("may be started anew by what is called", () => {
    const deadlines = new Deadlines(100);
    let calls = 0;
    const twice = {
      onDue() {
        calls += 1;
        if (calls < 2) deadlines.start(twice);
      },
    };
    deadlines.start(twice);
    vi.advanceTimersByTime(150);
    expect(calls).toBe(1);
    vi.advanceTimersByTime(150);
    expect(calls).toBe(2);
  });
});
