import { lstat, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join, parse, sep } from "node:path";
import { AppError } from "@berth/core";

/** What the check needs of `lstat`. */
interface Seen {
  readonly uid: number;
  readonly mode: number;
  isSymbolicLink(): boolean;
}

const linksFollowed = 40;

/**
 * Returns a mount's source with all symbolic links resolved. The engine resolves the path again as root, so only root and the agent's user may be able to change it:
 * one of them must own each directory on the way, and others may not write to it unless it is sticky, as /tmp is. Throws `denied` VOLUME_UNSAFE, which names the
 * directory, and `not-found` VOLUME_MISSING.
 */
export async function safeSource(
  source: string,
  agentUid: number,
  look: (path: string) => Promise<Seen> = lstat,
): Promise<string> {
  if (!isAbsolute(source)) throw unsafe(source, "it is no absolute path");
  let rest = source.split(sep).filter((part) => part !== "");
  let at = parse(source).root;
  for (let links = 0; rest.length > 0;) {
    const [part, ...after] = rest as [string, ...string[]];
    if (part === "..") throw unsafe(source, "it goes up with ..");
    if (part === ".") {
      rest = after;
      continue;
    }
    checkParent(source, at, await seen(source, at, look), agentUid);
    const next = join(at, part);
    if (!(await seen(source, next, look)).isSymbolicLink()) {
      at = next;
      rest = after;
      continue;
    }
    if (++links > linksFollowed) throw unsafe(source, "it has too many links");
    const target = await readlink(next);
    // Join first: a `..` in a link is relative to the directory of the link.
    const whole = isAbsolute(target) ? target : join(dirname(next), target);
    at = parse(source).root;
    rest = [
      ...join(whole)
        .split(sep)
        .filter((step) => step !== ""),
      ...after,
    ];
  }
  return at;
}

async function seen(source: string, path: string, look: (path: string) => Promise<Seen>): Promise<Seen> {
  try {
    return await look(path);
  } catch (cause) {
    throw new AppError("not-found", "VOLUME_MISSING", `volume ${source}: ${path} is not there on this host`, { cause });
  }
}

function checkParent(source: string, path: string, { uid, mode }: Seen, agentUid: number): void {
  if (uid !== 0 && uid !== agentUid)
    throw unsafe(source, `${path} belongs to uid ${uid}, who could exchange what is in it`);
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) throw unsafe(source, `${path} can be written by others`);
}

const unsafe = (source: string, why: string): AppError =>
  new AppError("denied", "VOLUME_UNSAFE", `volume ${source} is not mounted: ${why}`);
