import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { backoffMs, retry, sleep } from "./retry.ts";

const away = () => AppError.received("unavailable", "AWAY", "away");
const quick = { baseMs: 1, maxMs: 2 };

describe("retry", () => {
  it("repeats what is unavailable until it succeeds", async () => {
    let calls = 0;
    const result = await retry(async () => {
      calls += 1;
      if (calls < 3) throw away();
      return calls;
    }, quick);
    expect(result).toBe(3);
  });

  it("throws anything else at once", async () => {
    let calls = 0;
    const refused = retry(async () => {
      calls += 1;
      throw AppError.received("conflict", "STALE", "stale");
    }, quick);
    await expect(refused).rejects.toMatchObject({ reason: "STALE" });
    expect(calls).toBe(1);
  });

  it("gives up after its attempts, and after its time", async () => {
    let calls = 0;
    const failing = async () => {
      calls += 1;
      throw away();
    };
    await expect(retry(failing, { ...quick, attempts: 2 })).rejects.toMatchObject({ reason: "AWAY" });
    expect(calls).toBe(2);
    await expect(retry(failing, { baseMs: 1_000, forMs: 100 })).rejects.toMatchObject({ reason: "AWAY" });
    expect(calls).toBe(3);
  });

  it("ends a wait when it is aborted", async () => {
    const stop = new AbortController();
    const waiting = retry(() => Promise.reject(away()), {
      baseMs: 60_000,
      maxMs: 60_000,
      signal: stop.signal,
      onRetry: () => stop.abort(new Error("stopped")),
    });
    await expect(waiting).rejects.toThrow("stopped");
    await expect(sleep(60_000, stop.signal)).rejects.toThrow("stopped");
  });

  it("doubles its wait up to a limit, with jitter", () => {
    const options = { baseMs: 10, maxMs: 70 };
    expect([1, 2, 3, 4, 9].map((n) => backoffMs(n, () => 1, options))).toEqual([10, 20, 40, 70, 70]);
    expect(backoffMs(3, () => 0, options)).toBe(20);
  });
});
