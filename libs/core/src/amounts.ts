import { invalidField } from "./errors.ts";

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** What a task needs, or a host has. */
export interface Resources {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

export const defaultResources: Resources = { cpuMilli: 1000, memoryBytes: 256 * MiB };

/** "0.5" or "500m" as thousandths of a processor, 1 to 1,024,000; throws `invalid` INVALID_CPU. */
export function parseCpu(text: string, field = "cpu"): number {
  const match = /^(\d{1,7}(?:\.\d{1,6})?)(m?)$/.exec(text.trim());
  const milli = match ? Math.round(Number(match[1]) * (match[2] ? 1 : 1000)) : NaN;
  if (!(milli >= 1 && milli <= 1_024_000))
    throw invalidField(
      field,
      `must be a number of processors such as 0.5, 2 or 500m, from 0.001 to 1024, is ${JSON.stringify(text.slice(0, 40))}`,
      "INVALID_CPU",
    );
  return milli;
}

const byteUnits: Readonly<Record<string, number>> = { "": 1, b: 1, k: KiB, m: MiB, g: GiB, t: 1024 * GiB };

/** "512M", "2GiB", "1.5g", plain bytes; powers of 1024 as in docker. 4 MiB (docker's least) to 64 TiB; throws `invalid` INVALID_MEMORY. */
export function parseMemory(text: string, field = "memory"): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = match ? Math.round(Number(match[1]) * (byteUnits[match[2]!.toLowerCase()] ?? NaN)) : NaN;
  if (!(bytes >= 4 * MiB && bytes <= 64 * 1024 * GiB))
    throw invalidField(
      field,
      `must be an amount such as 512M or 2G, from 4M to 64T, is ${JSON.stringify(text.slice(0, 40))}`,
      "INVALID_MEMORY",
    );
  return bytes;
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "90", "90s", "10m", "1h30m", "2d" in milliseconds; a bare number is seconds. 1 ms to 365 d; throws `invalid` INVALID_DURATION. */
export function parseDuration(text: string, field = "time"): number {
  const trimmed = text.trim();
  let total = NaN;
  if (/^\d{1,9}(\.\d{1,3})?$/.test(trimmed)) total = Math.round(Number(trimmed) * 1000);
  else if (/^(\d{1,9}(ms|s|m|h|d))+$/.test(trimmed)) {
    total = 0;
    for (const [, n, unit] of trimmed.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(n) * durationUnits[unit!]!;
  }
  if (!(total >= 1 && total <= 365 * 86_400_000))
    throw invalidField(
      field,
      `must be a time such as 90s, 10m or 1h30m, at most 365d, is ${JSON.stringify(text.slice(0, 40))}`,
      "INVALID_DURATION",
    );
  return total;
}

/** 500 → "0.5". */
export const formatCpu = (milli: number): string => String(milli / 1000);

/** 536870912 → "512M". */
export function formatMemory(bytes: number): string {
  for (const [unit, size] of [
    ["T", 1024 * GiB],
    ["G", GiB],
    ["M", MiB],
    ["K", KiB],
  ] as const) {
    if (bytes >= size) return `${Math.round((bytes / size) * 10) / 10}${unit}`;
  }
  return `${bytes}B`;
}

/** 5400000 → "1h30m"; below ten seconds with a decimal. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${Math.round(ms / 100) / 10}s`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${s % 60 ? `${s % 60}s` : ""}`;
  if (s < 86_400)
    return `${Math.floor(s / 3600)}h${Math.floor((s % 3600) / 60) ? `${Math.floor((s % 3600) / 60)}m` : ""}`;
  return `${Math.floor(s / 86_400)}d${Math.floor((s % 86_400) / 3600) ? `${Math.floor((s % 86_400) / 3600)}h` : ""}`;
}
