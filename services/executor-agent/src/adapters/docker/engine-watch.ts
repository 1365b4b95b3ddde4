import { backoffMs, sleep } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import type { EngineClient, EngineEvent } from "./engine-client.ts";
import { jsonLines } from "./image-pulls.ts";

/** How long before its last answer a stopping engine may have ended containers. */
const stoppingMs = 15_000;
/** How long after its return an engine may date the ends that it did not see: it writes its own time for them. */
const comingBackMs = 30_000;

/** When the engine was away. */
export class Outages {
  readonly #known: { readonly fromMs: number; untilMs: number | undefined }[] = [];

  begin(now = Date.now()): void {
    if (this.#known.at(-1)?.untilMs !== undefined || this.#known.length === 0)
      this.#known.push({ fromMs: now, untilMs: undefined });
    if (this.#known.length > 20) this.#known.shift();
  }

  end(now = Date.now()): void {
    const last = this.#known.at(-1);
    if (last && last.untilMs === undefined) last.untilMs = now;
  }

  /** Whether the engine was stopping, away or starting at that time. */
  around(at: Date): boolean {
    const ms = at.getTime();
    return this.#known.some(
      ({ fromMs, untilMs }) => ms >= fromMs - stoppingMs && ms <= (untilMs ?? Infinity) + comingBackMs,
    );
  }
}

export interface EngineWatchDeps {
  readonly client: EngineClient;
  readonly labels: readonly string[];
  readonly outages: Outages;
  readonly logger: Logger;
  readonly stop: AbortSignal;
  onEvent(event: EngineEvent): void;
  /** Called when the driver must inspect all containers: after a reconnect, because events were missed, and at regular times. */
  look(): Promise<void>;
}

const lookEveryMs = 10_000;

/** Follows the engine's events over all its restarts; resolves when stopped. After each (re)connect, and every 10 s, everything is looked at. */
export async function watchEngine(deps: EngineWatchDeps): Promise<void> {
  const { stop, logger } = deps;
  const looking = setInterval(() => void look(deps), lookEveryMs);
  for (let failures = 0; !stop.aborted;) {
    try {
      const stream = await deps.client.events(deps.labels, ["die", "oom"], stop);
      deps.outages.end();
      if (failures > 0) logger.info("the container engine answers again");
      failures = 0;
      void look(deps);
      for await (const event of jsonLines<EngineEvent>(stream)) deps.onEvent(event);
    } catch (error) {
      if (stop.aborted) break;
      if (failures === 0) logger.warn("the container engine does not answer", { error });
    }
    if (stop.aborted) break;
    deps.outages.begin();
    failures += 1;
    await sleep(backoffMs(failures, Math.random, { baseMs: 100, maxMs: 5000 }), stop).catch(() => {});
  }
  clearInterval(looking);
}

async function look({ stop, logger, ...deps }: EngineWatchDeps): Promise<void> {
  try {
    await deps.look();
  } catch (error) {
    if (!stop.aborted) logger.debug("the engine's containers could not be looked at", { error });
  }
}
