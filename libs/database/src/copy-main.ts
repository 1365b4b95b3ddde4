import { closeSync, fsyncSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/**
 * `node copy-main.ts FROM TO`: a copy of a SQLite database that is in use, as of one moment, checked and on disk. A process of its own, because the copy
 * blocks its event loop.
 */
const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error("usage: copy-main.ts FROM TO");

try {
  const source = new DatabaseSync(from, { readOnly: true, timeout: 10_000 });
  // One read transaction: writers go on meanwhile, and the copy has none of what they commit.
  source.prepare("VACUUM INTO ?").run(to);
  source.close();
  const copy = new DatabaseSync(to, { readOnly: true });
  const found = Object.values(copy.prepare("PRAGMA integrity_check(1)").get() ?? {})[0];
  copy.close();
  if (found !== "ok") throw new Error(`the copy is not whole: ${String(found)}`);
  const fd = openSync(to, "r");
  fsyncSync(fd);
  closeSync(fd);
} catch (error) {
  process.stderr.write(`${from}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
