import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What `bundle.ts` writes beside a bundle. */
export interface BundleManifest {
  /** The module with `runProgram`, relative to the bundle's directory. */
  readonly program: string;
  /** Every source file of the bundle, relative to the repository, with its size and time when it was bundled. */
  readonly inputs: readonly (readonly [path: string, bytes: number, mtimeMs: number])[];
}

/**
 * Path of the bundled program in `dir`. A bundle halves the time of a small command, because Node loads one file instead of two hundred. Undefined if there is no
 * bundle or a source file has changed since; then the program is loaded from its source.
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
