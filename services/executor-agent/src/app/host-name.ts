import type { Reason } from "@berth/core";
import type { AgentDeps } from "./agent-deps.ts";

export interface HostNameDeps extends Pick<AgentDeps, "hostId" | "logger"> {
  /** It is ours from now on; again after each time it was another's. */
  readonly onOurs: () => void;
}

const logEveryMs = 60_000;

/**
 * Whether this agent speaks for its host name. Only then it takes over, starts and reports runs: two cloned machines would else both do what is meant for one. The
 * watchers say so in each answer to a sync; before the first one it is not known.
 */
export class HostName {
  readonly #deps: HostNameDeps;
  #state: "unknown" | "ours" | "taken" = "unknown";
  #loggedMs = -Infinity;
  #whileOurs: ((signal: AbortSignal) => void)[] = [];
  #stop = new AbortController();

  constructor(deps: HostNameDeps) {
    this.#deps = deps;
  }

  get isOurs(): boolean {
    return this.#state === "ours";
  }

  get isTaken(): boolean {
    return this.#state === "taken";
  }

  /** Calls it now or once the name is ours, and each time it is again; its signal is aborted when another agent has it. */
  whileOurs(fn: (signal: AbortSignal) => void): void {
    this.#whileOurs.push(fn);
    if (this.isOurs) fn(this.#stop.signal);
  }

  /** A watcher answered this agent's sync with verdicts. */
  accepted(): void {
    if (this.isOurs) return;
    if (this.isTaken) this.#deps.logger.info("this agent speaks for its host name again", { host: this.#deps.hostId });
    this.#state = "ours";
    this.#stop = new AbortController();
    for (const fn of this.#whileOurs) fn(this.#stop.signal);
    this.#deps.onOurs();
  }

  /** A watcher refused this agent: another one was heard under its host name, or this one has another cluster's secret. */
  refused({ code, message }: Reason): void {
    this.#state = "taken";
    this.#stop.abort(new Error(message));
    if (performance.now() - this.#loggedMs < logEveryMs) return;
    this.#loggedMs = performance.now();
    this.#deps.logger.error(`this agent starts nothing: ${message}`, { host: this.#deps.hostId, reason: code });
  }
}
