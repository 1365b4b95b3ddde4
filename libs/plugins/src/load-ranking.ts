import { isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError } from "@berth/core";
import { fifoRanking } from "./fifo-ranking.ts";
import type { PluginLogger, RankingPolicy } from "./ranking.ts";

const builtIn: Readonly<Record<string, () => RankingPolicy>> = { fifo: fifoRanking };

/**
 * The ranking policy of that name: a built-in one, else a site's own module that exports `rankingPolicy(): RankingPolicy`, given as a path (starting with `.` or
 * `/`) or as the name of an installed package. Throws AppError `invalid` RANKING_NOT_FOUND or RANKING_INVALID, naming what is wrong.
 */
export async function loadRanking(
  name: string,
  config: Readonly<Record<string, unknown>>,
  logger: PluginLogger,
): Promise<RankingPolicy> {
  const policy = builtIn[name]?.() ?? (await importRanking(name));
  policy.setLogger(logger);
  policy.setConfig(config);
  return policy;
}

async function importRanking(name: string): Promise<RankingPolicy> {
  const isPath = isAbsolute(name) || name.startsWith(".");
  let module: { readonly rankingPolicy?: unknown };
  try {
    module = (await import(isPath ? pathToFileURL(resolve(name)).href : name)) as typeof module;
  } catch (cause) {
    throw new AppError(
      "invalid",
      "RANKING_NOT_FOUND",
      `ranking policy ${name}: not one of ${Object.keys(builtIn).join(", ")}, and not a module that can be imported`,
      { cause },
    );
  }
  if (typeof module.rankingPolicy !== "function")
    throw invalid(name, "the module does not export a function rankingPolicy");
  const made = (module.rankingPolicy as () => unknown)();
  const missing = (["getName", "setConfig", "setLogger", "schedule"] as const).find(
    (key) => typeof (made as Record<string, unknown> | undefined)?.[key] !== "function",
  );
  if (missing !== undefined) throw invalid(name, `what rankingPolicy() returns has no function ${missing}`);
  return made as RankingPolicy;
}

const invalid = (name: string, what: string): AppError =>
  new AppError("invalid", "RANKING_INVALID", `ranking policy ${name}: ${what}`, { metadata: { policy: name } });
