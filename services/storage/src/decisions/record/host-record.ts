import type { ListHostsResponse } from "@berth/contracts/store";
import { Host, HostStatus } from "@berth/contracts/types";
import { hostChange } from "./feed-row.ts";

/** A host as its agent described it last, and what was noted of it since. */
export interface HostRecord {
  /** What its agent said last, encoded: told apart by its bytes. */
  readonly said: Buffer;
  readonly silent: boolean;
  /** The operator who declared it lost; empty: nobody did since it was last seen. */
  readonly lostBy: string;
  readonly seenAt: number;
}

/** The fields of a host report that we store. `used` covers only runs unknown to the database; the rest is summed here. */
export const saidOf = (host: Host): Buffer =>
  Buffer.from(
    Host.encode({
      ...host,
      used: host.unknownRuns.length > 0 ? host.used : undefined,
      status: HostStatus.UNSPECIFIED,
      reason: undefined,
      seenTime: undefined,
      duplicateTime: undefined,
      liveTasks: 0,
    }).finish(),
  );

/** An encoded `Change` that tells of a host. */
export const hostRow = (revision: number, record: HostRecord): Buffer =>
  hostChange(revision, Host.encode(hostMessage(record)).finish());

/** What the tasks that have a place on a host take of it. */
export interface HostLoad {
  readonly live: number;
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

/** A host as it is listed: `used` is the load of its tasks together with the runs that the database does not know. `duplicateAt`: when another agent of its name was refused last. */
export function listedHost(
  record: HostRecord,
  load: HostLoad,
  duplicateAt: number | undefined,
): ListHostsResponse["hosts"][number] {
  const host = hostMessage(record);
  return {
    ...host,
    duplicateTime: duplicateAt === undefined ? undefined : new Date(duplicateAt),
    used: {
      cpuMilli: load.cpuMilli + (host.used?.cpuMilli ?? 0),
      memoryBytes: load.memoryBytes + (host.used?.memoryBytes ?? 0),
    },
    liveTasks: load.live,
  };
}

function hostMessage(record: HostRecord): Host {
  const { status, reason } = statusOf(record);
  return { ...Host.decode(record.said), status, reason, seenTime: new Date(record.seenAt) };
}

function statusOf({ silent, lostBy }: HostRecord): Pick<Host, "status" | "reason"> {
  if (lostBy !== "")
    return {
      status: HostStatus.LOST,
      reason: {
        code: "HOST_DECLARED_LOST",
        message: `declared lost by ${lostBy}; it is up once its agent is heard again`,
      },
    };
  if (!silent) return { status: HostStatus.UP, reason: undefined };
  const message = "its agent has not been heard for a while; what runs there runs on";
  return { status: HostStatus.SILENT, reason: { code: "HOST_SILENT", message } };
}

/** The agent's last report; undefined if the bytes are damaged. */
export function readHost(said: Uint8Array): Host | undefined {
  try {
    return Host.decode(said);
  } catch {
    return undefined;
  }
}
