import { Verdict as WireVerdict } from "@berth/contracts/agent";
import type { RunVerdict } from "@berth/contracts/agent";
import type { Verdict } from "../domain/transitions.ts";

const causes = { KILLED: "killed", SUPERSEDED: "superseded", OVER: "over" } as const;

/** A verdict in the domain's words; undefined for one that only a newer watcher knows: the agent ignores it. */
export function verdictOf({ verdict, reason, by }: RunVerdict): Verdict | undefined {
  switch (verdict) {
    case WireVerdict.RUN:
      return { kind: "run" };
    case WireVerdict.STOP: {
      const cause = causes[reason as keyof typeof causes];
      return cause && { kind: "stop", cause, by };
    }
    case WireVerdict.SUSPEND:
      return { kind: "suspend" };
    case WireVerdict.RESUME:
      return { kind: "resume" };
    case WireVerdict.UNKNOWN:
      return { kind: "unknown" };
    default:
      return undefined;
  }
}
