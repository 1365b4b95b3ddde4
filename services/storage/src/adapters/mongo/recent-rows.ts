import type { FeedRow } from "./changes.ts";

const rowsRemembered = 20_000;
const bytesRemembered = 16 * 1024 * 1024;

/** The feed's rows of late, as this store committed or read them: what several readers ask for is fetched once, and one's own not at all. Revisions have no gaps. */
export class RecentRows {
  readonly #rows = new Map<number, FeedRow>();
  #bytes = 0;

  /** Only of what is committed. */
  remember(rows: Iterable<FeedRow>): void {
    for (const row of rows) {
      if (this.#rows.has(row.revision)) continue;
      this.#rows.set(row.revision, row);
      this.#bytes += row.row.length;
    }
    for (const [revision, { row }] of this.#rows) {
      if (this.#rows.size <= rowsRemembered && this.#bytes <= bytesRemembered) break;
      this.#rows.delete(revision);
      this.#bytes -= row.length;
    }
  }

  /** All rows after `from` up to `upTo`; undefined where one of them is not here. */
  between(from: number, upTo: number): FeedRow[] | undefined {
    const rows: FeedRow[] = [];
    for (let revision = from + 1; revision <= upTo; revision++) {
      const row = this.#rows.get(revision);
      if (!row) return undefined;
      rows.push(row);
    }
    return rows;
  }
}
