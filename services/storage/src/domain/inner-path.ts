import { invalidField } from "@berth/core";
import type { AppError } from "@berth/core";

const slash = 0x2f;
const dot = 0x2e;
const mostPathBytes = 4096;
const mostNameBytes = 255;

/**
 * The names of a path relative to a task's directory, as bytes; none: the directory itself. Throws `invalid`: PATH_OUTSIDE where it could lead out of it,
 * INVALID_PATH where no disk has such a name.
 */
export function innerPath(path: string | Uint8Array, field = "path"): readonly Uint8Array[] {
  const invalid = (rule: string) => invalidField(field, rule, "INVALID_PATH");
  if (typeof path === "string" && !path.isWellFormed()) throw invalid("must be Unicode text without a lone surrogate");
  const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
  if (bytes.includes(0)) throw invalid("must not contain a NUL");
  if (bytes.length > mostPathBytes) throw invalid(`must have at most ${mostPathBytes} bytes`);
  if (bytes[0] === slash) throw outside(field, "must be relative to the task's directory");
  const names: Uint8Array[] = [];
  for (let from = 0; from <= bytes.length;) {
    const end = bytes.indexOf(slash, from);
    const name = bytes.subarray(from, end < 0 ? bytes.length : end);
    from += name.length + 1;
    if (name.length === 2 && name[0] === dot && name[1] === dot)
      throw outside(field, "must not leave the task's directory");
    if (name.length > mostNameBytes) throw invalid(`must have names of at most ${mostNameBytes} bytes`);
    if (name.length > 0 && !(name.length === 1 && name[0] === dot)) names.push(name);
  }
  return names;
}

/** The same for a file, which has a name. */
export function innerFile(path: string | Uint8Array, field = "path"): readonly Uint8Array[] {
  const names = innerPath(path, field);
  const last = typeof path === "string" ? path.at(-1) === "/" : path.at(-1) === slash;
  if (names.length === 0 || last) throw invalidField(field, "must name a file", "INVALID_PATH");
  return names;
}

const outside = (field: string, rule: string): AppError => invalidField(field, rule, "PATH_OUTSIDE");
