import type { RunStatus } from "@berth/contracts/agent";

/** Three hundred years of one cpu: no agent that tells the truth comes near to it. */
const mostMs = 1e13;

/** An agent's report with numbers and times that can be stored and summed up: large numbers are bounded, invalid times left out. */
export function believable(status: RunStatus): RunStatus {
  const { usage, startTime, endTime } = status;
  const isPlain = (!usage || (isTime(usage.cpuMs) && isTime(usage.wallMs))) && isDate(startTime) && isDate(endTime);
  if (isPlain) return status;
  return {
    ...status,
    usage: usage && { ...usage, cpuMs: bounded(usage.cpuMs), wallMs: bounded(usage.wallMs) },
    startTime: isDate(startTime) ? startTime : undefined,
    endTime: isDate(endTime) ? endTime : undefined,
  };
}

const isTime = (ms: number): boolean => ms >= 0 && ms <= mostMs;
const bounded = (ms: number): number => Math.min(Math.max(0, ms), mostMs);
const isDate = (date: Date | undefined): boolean => date === undefined || !Number.isNaN(date.getTime());
