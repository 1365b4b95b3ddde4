import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What `bundle.ts` writes beside a bundle. */
export interface BundleManifest {
  /** The module with `runProgram`, relative to the bundle's directory. */
  readonly program: string;
  /** Every file that the bundle was made of, relative to the repository, as it was then. */
  readonly inputs: readonly (readonly [path: string, bytes: number, mtimeMs: number])[];
}

/**
 * The bundled program in `dir`, if it was made of the files that are here now: loading one file in place of two hundred halves the time of a small command.
 * Undefined where there is none, or where a file was changed since; the program is loaded from its source then.
 */
export function freshBundle(dir: string, root: string): string | undefined {
  try {
    const { program, inputs } = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as BundleManifest;
    const same = inputs.every(([path, bytes, mtimeMs]) => {
      const found = statSync(join(root, path));
      return found.size === bytes && found.mtimeMs === mtimeMs;
    });
    return same ? join(dir, program) : undefined;
  } catch {
    return undefined;
  }
}
