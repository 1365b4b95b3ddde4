import type { Reason } from "@berth/core";
import type { AgentDeps } from "./agent-deps.ts";

export interface HostNameDeps extends Pick<AgentDeps, "hostId" | "logger"> {
  /** Called when this agent gets the name, also after another agent had it. */
  readonly onOurs: () => void;
}

const logEveryMs = 60_000;

/**
 * Whether this agent speaks for its host name. Only then does it take over, start and report runs; otherwise two cloned machines would both run each task. A watcher
 * decides it in each answer to a sync; before the first answer the agent does not know.
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

  /** Calls `fn` now if the name is ours, and each time we get it. Aborts its signal when another agent has the name. */
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

  /** A watcher refused this agent, because another agent with its host name sent a message lately or because this one has another cluster's secret. */
  refused({ code, message }: Reason): void {
    this.#state = "taken";
    this.#stop.abort(new Error(message));
    if (performance.now() - this.#loggedMs < logEveryMs) return;
    this.#loggedMs = performance.now();
    this.#deps.logger.error(`this agent starts nothing: ${message}`, { host: this.#deps.hostId, reason: code });
  }
}
