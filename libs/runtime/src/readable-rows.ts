import type { Change } from "@berth/contracts/store";
import type { SetAside } from "./set-aside.ts";

/**
 * The rows of the change feed that `decode` can read. A row for which it throws goes to `setAside`. A row for which it returns undefined is skipped: only a newer
 * storage knows its kind.
 */
export function readableRows<T>(
  changes: readonly Change[],
  decode: (change: Change) => T | undefined,
  setAside: Pick<SetAside, "add">,
): T[] {
  return changes.flatMap((change) => {
    try {
      return decode(change) ?? [];
    } catch (error) {
      setAside.add(change.row?.value.id ?? "a row", error);
      return [];
    }
  });
}
