import { AppError } from "@berth/core";
import type { Logger } from "./logger.ts";
import { counter } from "./metrics.ts";
import type { Problems } from "./problems.ts";

/** How many of the records left out are named in the problem. */
const named = 5;

/**
 * Records that cannot be read or processed. Each is left out, so that one bad record does not stop the work on all others. It is logged, counted, and named
 * among the service's problems until the next full snapshot.
 */
export class SetAside {
  readonly #problems: Problems;
  readonly #logger: Pick<Logger, "error">;
  readonly #ids = new Set<string>();
  readonly #count = counter(
    "berth_records_set_aside_total",
    "Records that could not be read or worked on, and were left out",
  );

  constructor(problems: Problems, logger: Pick<Logger, "error">) {
    this.#problems = problems;
    this.#logger = logger;
  }

  /** `what`: the id of the task or host, or another name of the record. */
  add(what: string, thrown: unknown): void {
    this.#count.inc();
    if (!this.#ids.has(what))
      this.#logger.error("a record is left out: it cannot be read or worked on", { record: what, error: thrown });
    if (this.#ids.size < 10_000) this.#ids.add(what);
    const some = [...this.#ids].slice(0, named).join(", ");
    const more = this.#ids.size > named ? ` and ${this.#ids.size - named} more` : "";
    const { message } = thrown instanceof Error ? thrown : AppError.from(thrown);
    this.#problems.set("RECORDS_SET_ASIDE", `left out: ${some}${more}; the last because ${message}`);
  }

  /** To be called when the view is read from its beginning. */
  clear(): void {
    this.#ids.clear();
    this.#problems.clear("RECORDS_SET_ASIDE");
  }
}
