import type { Write } from "./calls.ts";
import type { Changes } from "./changes.ts";
import type { CollectionName, TaskDoc } from "./collections.ts";
import { fromTask } from "./task-doc.ts";
import { sumWrites } from "./sum-writes.ts";

/** Which documents existed before the transaction: these are replaced, others are inserted. */
export interface Before {
  readonly specs: (number: number) => boolean;
  readonly tasks: (key: string) => boolean;
  readonly keys: (key: string) => boolean;
  readonly attempts: (id: string) => boolean;
  readonly chunks: (key: string) => boolean;
}

/** The writes of a transaction, per collection. */
export function writesOf(changes: Changes, at: Date, before: Before): readonly (readonly [CollectionName, Write[]])[] {
  const { specs, tasks, keys, attempts, chunks, remains, hosts, rows, sums } = changes;
  const put = <K extends string | number, D extends object>(
    docs: ReadonlyMap<K, D | undefined>,
    isThere: (key: K) => boolean,
  ): Write[] => [...docs].map(([key, doc]) => putOrRemove(key, doc, isThere(key)));
  return [
    ["specs", put(specs, before.specs)],
    ["tasks", put(stored(tasks), before.tasks)],
    ["client_keys", put(keys, before.keys)],
    ["attempts", put(attempts, before.attempts)],
    ["folded", put(chunks, before.chunks)],
    ["remains", [...remains].map((_id) => insert({ _id }))],
    // Overwrites a damaged document, too, which was left out when hosts were read.
    [
      "hosts",
      [...hosts].map(([_id, replacement]) => ({
        replaceOne: { filter: { _id: _id as never }, replacement, upsert: true },
      })),
    ],
    ["changes", rows.map(({ revision, user, row }) => insert({ _id: revision, at, user, row }))],
    ["sums", sumWrites(sums)],
  ];
}

const stored = (tasks: ReadonlyMap<string, TaskDoc | undefined>) =>
  new Map([...tasks].map(([key, task]) => [key, task && fromTask(task)] as const));

const insert = (document: object): Write => ({ insertOne: { document } });

function putOrRemove(id: string | number, document: object | undefined, isThere: boolean): Write {
  const filter = { _id: id as never };
  if (document === undefined) return { deleteOne: { filter } };
  return isThere ? { replaceOne: { filter, replacement: document } } : insert({ _id: id, ...document });
}
