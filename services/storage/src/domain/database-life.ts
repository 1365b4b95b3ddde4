/** What distinguishes a database from its restored copy. */
export interface DatabaseMark {
  readonly epoch: string;
  /** Revision of its last durable change. */
  readonly revision: number;
  /** Largest task number given out. */
  readonly number: number;
  /** Inode of its file. */
  readonly inode: string;
}

/** A database as found when it is opened. */
export interface FoundDatabase extends Omit<DatabaseMark, "number"> {
  /** The epoch before this one; empty: there was none. */
  readonly epochBefore: string;
  /** The file that it was in when it was opened last, as it says itself; empty: it was never noted. */
  readonly notedInode: string;
}

/**
 * Why a database that is opened was restored from a copy, given the mark that was left beside it after its last commits; undefined: it was not. A mark that is
 * behind the database is normal: it is not put on disk. A database that is behind its mark has lost what was acknowledged.
 */
export function whyRestored(found: FoundDatabase, mark: DatabaseMark | undefined): string | undefined {
  const isMoved = found.notedInode !== "" && found.notedInode !== found.inode;
  if (!mark) return isMoved ? "its file was copied, without the mark beside it" : undefined;
  if (mark.epoch !== found.epoch && mark.epoch !== found.epochBefore)
    return "it is of another epoch than the last one here";
  if (mark.epoch === found.epoch && mark.revision > found.revision)
    return `it ends with change ${found.revision}, and change ${mark.revision} was acknowledged`;
  return isMoved && mark.inode !== found.inode ? "its file was copied" : undefined;
}
