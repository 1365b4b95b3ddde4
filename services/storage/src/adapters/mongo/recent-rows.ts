import type { FeedRow } from "./changes.ts";

const rowsRemembered = 20_000;
const bytesRemembered = 16 * 1024 * 1024;

/** Cache of the newest feed rows that this store committed or read, so that several readers cost one query, and the store's own rows none. Revisions have no gaps. */
export class RecentRows {
  readonly #rows = new Map<number, FeedRow>();
  #bytes = 0;

  /** Only committed rows may be added. */
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

  /** All rows after `from` up to `upTo`; undefined if one of them is not in the cache. */
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
