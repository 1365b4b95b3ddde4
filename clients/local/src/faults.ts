import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileWhole } from "./cluster-file.ts";
import type { Layout } from "./layout.ts";

/** A process that the supervisor cannot keep running. */
export interface ServiceFault {
  readonly name: string;
  /** Whether it stays down until `berth up`; else it is restarted after growing pauses. */
  readonly staysDown: boolean;
  /** How often in a row it ended soon after its start. */
  readonly ends: number;
  /** Its last log lines; may be empty. */
  readonly words: string;
}

const pathOf = (layout: Layout, name: string): string => join(layout.run, `${name}.fault`);

export const reportFault = (layout: Layout, fault: ServiceFault): void =>
  writeFileWhole(pathOf(layout, fault.name), JSON.stringify(fault));

export const forgetFault = (layout: Layout, name: string): void => rmSync(pathOf(layout, name), { force: true });

/** The faults that the supervisor has reported and not withdrawn. */
export function readFaults(layout: Layout): ServiceFault[] {
  if (!existsSync(layout.run)) return [];
  return readdirSync(layout.run)
    .filter((name) => name.endsWith(".fault"))
    .flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(layout.run, name), "utf8")) as ServiceFault];
      } catch {
        return []; // the supervisor withdrew it between the two reads
      }
    });
}

/** A fault in one sentence. */
export function describeFault({ name, staysDown, ends, words }: ServiceFault): string {
  const said = words === "" ? "it said nothing" : words;
  return staysDown
    ? `${name} stays down until berth up is run again: ${said}`
    : `${name} ended ${ends} times in a row and is tried again: ${said}`;
}

const mostBytes = 16 * 1024;

/** The message of the last log line of level error after byte `from`; if there is none, the last line that is not JSON. */
export function lastWords(path: string, from: number): string {
  const lines = tail(path, from)
    .split("\n")
    .filter((line) => line.trim() !== "");
  const messages = lines.flatMap((line) => {
    const words = errorOf(line);
    return words === undefined ? [] : [words];
  });
  return (messages.at(-1) ?? lines.findLast((line) => !line.startsWith("{")) ?? "").slice(0, 2_000);
}

function errorOf(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const { level, message, error } = JSON.parse(line) as {
      level?: string;
      message?: string;
      error?: { message?: string };
    };
    if (level !== "error" && level !== "fatal") return undefined;
    return [message, error?.message].filter(Boolean).join(": ");
  } catch {
    return undefined;
  }
}

function tail(path: string, from: number): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const start = Math.max(from > size ? 0 : from, size - mostBytes);
    const bytes = Buffer.alloc(size - start);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, start));
  } finally {
    closeSync(file);
  }
}
