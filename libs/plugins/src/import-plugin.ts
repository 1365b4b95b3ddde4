import { isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError } from "@berth/core";

export interface PluginKind<T> {
  /** For error messages: `ranking policy`. */
  readonly what: string;
  /** The beginning of its errors' reasons, such as RANKING_NOT_FOUND and RANKING_INVALID. */
  readonly reason: "AUTH_PROVIDER" | "RANKING";
  /** What a module must export: a function that makes one. */
  readonly exported: string;
  /** Names that need no module. */
  readonly builtIn: readonly string[];
  /** What the made one must have. */
  readonly methods: readonly (keyof T & string)[];
}

/**
 * Makes a site's own plugin by its module, which is a path (starting with `.` or `/`) or the name of an installed package. Throws AppError `invalid`
 * …_NOT_FOUND or …_INVALID, naming what is wrong.
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
    throw fault(`not one of ${kind.builtIn.join(", ")}, and not a module that can be imported`, "NOT_FOUND", cause);
  }
  const make = module[kind.exported];
  if (typeof make !== "function") throw fault(`the module does not export a function ${kind.exported}`, "INVALID");
  const made = (await (make as (...given: unknown[]) => unknown)(...args)) as Record<string, unknown> | undefined;
  const missing = kind.methods.find((method) => typeof made?.[method] !== "function");
  if (missing !== undefined) throw fault(`what ${kind.exported}() returns has no function ${missing}`, "INVALID");
  return made as T;
}
