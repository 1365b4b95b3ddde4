import { Host, HostStatus } from "@berth/contracts/types";

export interface KnownHost {
  /** What its agent said last, encoded: told apart by its bytes. */
  said: Buffer;
  journalId: string;
  silent: boolean;
  /** The operator who declared it lost; empty: nobody did since it was last seen. */
  lostBy: string;
  seenAt: number;
  revision: number;
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

export function feedForm(known: KnownHost): Host {
  const { status, reason } = statusOf(known);
  return { ...Host.decode(known.said), status, reason, seenTime: new Date(known.seenAt) };
}

function statusOf({ silent, lostBy }: KnownHost): Pick<Host, "status" | "reason"> {
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
