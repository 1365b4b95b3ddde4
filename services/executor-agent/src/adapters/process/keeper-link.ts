import { connect } from "node:net";
import type { Socket } from "node:net";
import { FrameReader, frame } from "./keeper/frames.ts";
import type { FromKeeper, RunRecord, RunSignal, StartRun, ToKeeper } from "./keeper/protocol.ts";

export interface KeeperLinkHandlers {
  onRecords(runs: readonly RunRecord[]): void;
  /** The keeper ended, or the socket broke. Not called after `drop`. */
  onGone(): void;
}

/** A connection to a keeper that answers. */
export interface KeeperLink {
  readonly version: number;
  readonly pid: number;
  /** The runs that the keeper had when the connection was made. */
  readonly found: readonly RunRecord[];
  start(runs: readonly StartRun[]): void;
  signal(key: string, signal: RunSignal): void;
  /** Sets new ends of leases; without `u` a run has no lease any more. */
  extend(leases: readonly { readonly k: string; readonly u?: number }[]): void;
  settle(keys: readonly string[]): void;
  /** Takes back runs that have not begun. */
  takeBack(keys: readonly string[]): void;
  /** Sends a ping. Returns how many earlier pings in a row the keeper has not answered. */
  ping(): number;
  /** Asks the keeper to take no new runs, and to end once it is empty. */
  retire(): void;
  /** Closes the connection. The keeper goes on. */
  drop(): void;
}

const welcomeTimeoutMs = 5_000;

/** Connects to the keeper behind `path`; rejects where none answers. */
export function connectKeeper(path: string, handlers: KeeperLinkHandlers): Promise<KeeperLink> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(path);
    const reader = new FrameReader();
    let welcomed = false;
    let dropped = false;
    let unanswered = 0;
    const timer = setTimeout(() => socket.destroy(new Error("the keeper says nothing")), welcomeTimeoutMs);
    const send = (message: ToKeeper): void => void socket.write(frame(message));

    socket.on("data", (bytes: Buffer) => {
      unanswered = 0;
      try {
        for (const message of reader.read(bytes)) take(message as FromKeeper);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      reject(new Error("the keeper closed the connection"));
      if (welcomed && !dropped) handlers.onGone();
    });

    function take(message: FromKeeper): void {
      if (message.t === "news") return handlers.onRecords(message.runs);
      if (message.t !== "welcome") return; // a type that only newer keepers send
      clearTimeout(timer);
      welcomed = true;
      resolve({
        version: message.version,
        pid: message.pid,
        found: message.runs,
        start: (runs) => send({ t: "start", runs }),
        signal: (k, signal) => send({ t: "signal", k, signal }),
        extend: (leases) => send({ t: "extend", leases }),
        settle: (keys) => send({ t: "settle", keys }),
        takeBack: (keys) => send({ t: "back", keys }),
        ping() {
          const before = unanswered;
          unanswered += 1;
          send({ t: "ping" });
          return before;
        },
        retire: () => send({ t: "close" }),
        drop() {
          dropped = true;
          socket.end();
        },
      });
    }
  });
}
