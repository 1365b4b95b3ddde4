import type { Document } from "mongodb";
import type { TaskDoc } from "./collections.ts";
import { freshTask } from "../records/columns.ts";

/** What an index or a filter looks at; it is always said. */
const said: ReadonlySet<string> = new Set(["number", "idx", "user", "state", "revision", "host"]);

/** What a document does not say: half of a record is nothing yet, or nothing at all. */
const defaults = Object.entries(freshTask(0, -1, "", 0)).filter(([name]) => !said.has(name));
const unsaid = Object.fromEntries(defaults);

/** A record as it is stored. */
export function fromTask(task: TaskDoc): Document {
  const doc: Document = { ...task };
  for (const [name, value] of defaults) if (doc[name] === value) delete doc[name];
  return doc;
}

/** A record as it was. */
export const toTask = (doc: Document): TaskDoc => ({ ...unsaid, ...doc }) as unknown as TaskDoc;
