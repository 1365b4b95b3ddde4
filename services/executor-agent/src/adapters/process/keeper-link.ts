import { connect } from "node:net";
import type { Socket } from "node:net";
import { FrameReader, frame } from "./keeper/frames.ts";
import type { FromKeeper, KeptRun, RunSignal, StartRun, ToKeeper } from "./keeper/protocol.ts";

export interface KeeperLinkHandlers {
  onNews(runs: readonly KeptRun[]): void;
  /** Its process ended, or its socket broke: what it kept has to be looked for. Not called after `drop`. */
  onGone(): void;
}

/** A connection to a keeper that answers. */
export interface KeeperLink {
  readonly version: number;
  readonly pid: number;
  /** What it kept when the connection was made. */
  readonly found: readonly KeptRun[];
  start(runs: readonly StartRun[]): void;
  signal(key: string, signal: RunSignal): void;
  /** Puts leases off; undefined: for ever. */
  extend(leases: readonly { readonly k: string; readonly u?: number }[]): void;
  settle(keys: readonly string[]): void;
  /** Those that have not begun are not to start. */
  takeBack(keys: readonly string[]): void;
  /** Asks it to answer. Returns how many of these questions in a row it has not answered. */
  ping(): number;
  /** Asks it to take nothing new and to end once it is empty. */
  retire(): void;
  /** Lets go of it; it goes on. */
  drop(): void;
}

const welcomeMs = 5_000;

/** Connects to the keeper behind `path`; rejects where none answers. */
export function connectKeeper(path: string, handlers: KeeperLinkHandlers): Promise<KeeperLink> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(path);
    const reader = new FrameReader();
    let welcomed = false;
    let dropped = false;
    let unanswered = 0;
    const timer = setTimeout(() => socket.destroy(new Error("the keeper says nothing")), welcomeMs);
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
      if (message.t === "news") return handlers.onNews(message.runs);
      if (message.t !== "welcome") return; // of a newer keeper
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
