import { AppError } from "@berth/core";
import type { Logger } from "../ports/instruments.ts";

export interface DisabledUsersDeps {
  /** Asks auth about all users, or about those whose tasks there are now. Fails with AppError only. */
  list(signal: AbortSignal): Promise<readonly string[]>;
  /** Called where the answer differs from the last one. */
  changed(users: ReadonlySet<string>): void;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  readonly logger: Logger;
}

/** Interval of the question. For this long, tasks of a user who was just disabled may still be started. */
const everyMs = 1_000;
/** Interval of the question until the first answer. */
const firstEveryMs = 50;

/** Follows the list of disabled users. While auth is away, its last answer is used. */
export class DisabledUsers {
  readonly #deps: DisabledUsersDeps;
  readonly #first = Promise.withResolvers<void>();
  #known: ReadonlySet<string> | undefined;
  #away = false;

  constructor(deps: DisabledUsersDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves with the first answer. If auth does not answer within `ms` it logs that, and tasks are started: holding them all for as long as auth is away would
   * be worse.
   */
  async firstAnswer(ms: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const tooLong = this.#deps.sleep(ms, AbortSignal.any([signal, stop.signal])).then(
      () => {
        if (!this.#known) this.#deps.logger.warn("auth does not say who is disabled; tasks of all users are started");
      },
      () => {},
    );
    await Promise.race([this.#first.promise, tooLong]);
    stop.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ask(signal);
      await this.#deps.sleep(this.#known ? everyMs : firstEveryMs, signal).catch(() => {});
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    try {
      const users = new Set(await this.#deps.list(signal));
      const changed =
        !this.#known || users.size !== this.#known.size || [...users].some((name) => !this.#known!.has(name));
      this.#known = users;
      this.#away = false;
      if (changed) this.#deps.changed(users);
      this.#first.resolve();
    } catch (error) {
      if (signal.aborted || this.#away) return;
      this.#away = true;
      this.#deps.logger.info("auth cannot be asked who is disabled; its last answer counts", {
        error: AppError.from(error).message,
      });
    }
  }
}
