import { describe, expect, it } from "vitest";
import { formatDuration, formatMemory, GiB, MiB, parseCpu, parseDuration, parseMemory } from "./amounts.ts";
import { AppError } from "./errors.ts";

const reasonOf = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    return AppError.from(error).reason;
  }
  return "nothing thrown";
};

describe("parseCpu", () => {
  it.each([
    ["0.5", 500],
    ["2", 2000],
    ["500m", 500],
    ["0.001", 1],
    ["1024", 1_024_000],
  ])("reads %s", (text, milli) => {
    expect(parseCpu(text)).toBe(milli);
  });
  it.each(["0", "-1", "1025", "two", "", "1e3", "0.0001"])("refuses %j", (text) => {
    expect(reasonOf(() => parseCpu(text))).toBe("INVALID_CPU");
  });
});

describe("parseMemory", () => {
  it.each([
    ["512M", 512 * MiB],
    ["2G", 2 * GiB],
    ["1.5GiB", 1.5 * GiB],
    ["8388608", 8 * MiB],
    ["16mb", 16 * MiB],
  ])("reads %s", (text, bytes) => {
    expect(parseMemory(text)).toBe(bytes);
  });
  it.each(["1", "3M", "65T", "-5M", "lots", "5X", "1024P"])("refuses %j", (text) => {
    expect(reasonOf(() => parseMemory(text))).toBe("INVALID_MEMORY");
  });
});

describe("parseDuration", () => {
  it.each([
    ["90", 90_000],
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["2d", 172_800_000],
    ["250ms", 250],
    ["0.5", 500],
  ])("reads %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
  it.each(["0", "", "soon", "366d", "-5s", "5 minutes"])("refuses %j", (text) => {
    expect(reasonOf(() => parseDuration(text))).toBe("INVALID_DURATION");
  });
});

describe("formats", () => {
  it("are short", () => {
    expect(formatMemory(512 * MiB)).toBe("512M");
    expect(formatMemory(1.5 * GiB)).toBe("1.5G");
    expect(formatDuration(5_400_000)).toBe("1h30m");
    expect(formatDuration(2345)).toBe("2.3s");
  });
});
