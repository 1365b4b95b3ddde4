import { isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError } from "@berth/core";

export interface PluginKind<T> {
  /** For error messages: `ranking policy`. */
  readonly what: string;
  /** The beginning of its errors' reasons, such as RANKING_NOT_FOUND and RANKING_INVALID. */
  readonly reason: "AUTH_PROVIDER" | "DRIVER" | "RANKING";
  /** What a module must export: a function that makes one. */
  readonly exported: string;
  /** Names that need no module. */
  readonly builtIn: readonly string[];
  /** What the made one must have. */
  readonly methods: readonly (keyof T & string)[];
}

/**
 * Makes a site's own plugin by its module, which is a path (starting with `.` or `/`) or the name of an installed package. Throws AppError `invalid` …_NOT_FOUND where
 * the module, or one that it imports, is not there; …_INVALID where it cannot be read, exports no such function, the function fails, or what it returns lacks a
 * function. An AppError of the plugin's own comes through.
 */
export async function importPlugin<T>(kind: PluginKind<T>, name: string, ...args: readonly unknown[]): Promise<T> {
  const isPath = isAbsolute(name) || name.startsWith(".");
  const fault = (what: string, problem: "NOT_FOUND" | "INVALID", cause?: unknown): AppError =>
    new AppError("invalid", `${kind.reason}_${problem}`, `${kind.what} ${name}: ${what}`, {
      cause,
      metadata: { plugin: name },
    });
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(isPath ? pathToFileURL(resolve(name)).href : name)) as typeof module;
  } catch (cause) {
    if (!isMissing(cause)) throw fault(`the module cannot be imported: ${firstLine(cause)}`, "INVALID", cause);
    const names = kind.builtIn.join(", ");
    throw fault(`not one of ${names}, and not a module that can be imported: ${firstLine(cause)}`, "NOT_FOUND", cause);
  }
  const make = module[kind.exported];
  if (typeof make !== "function") throw fault(`the module does not export a function ${kind.exported}`, "INVALID");
  let made: Record<string, unknown> | undefined;
  try {
    made = (await (make as (...given: unknown[]) => unknown)(...args)) as typeof made;
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw fault(`${kind.exported}() failed: ${firstLine(cause)}`, "INVALID", cause);
  }
  const missing = kind.methods.find((method) => typeof made?.[method] !== "function");
  if (missing !== undefined) throw fault(`what ${kind.exported}() returns has no function ${missing}`, "INVALID");
  return made as T;
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && ["ERR_MODULE_NOT_FOUND", "ENOENT"].includes(String(error.code));

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
