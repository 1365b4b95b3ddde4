import { fifoRanking } from "./fifo-ranking.ts";
import { importPlugin } from "./import-plugin.ts";
import type { PluginLogger, RankingPolicy } from "./ranking.ts";

const builtIn: Readonly<Record<string, () => RankingPolicy>> = { fifo: fifoRanking };

/**
 * The ranking policy of that name: a built-in one, else a site's own module that exports `rankingPolicy(): RankingPolicy`, see `importPlugin`. Throws AppError
 * `invalid` RANKING_NOT_FOUND or RANKING_INVALID, naming what is wrong.
 */
export async function loadRanking(
  name: string,
  config: Readonly<Record<string, unknown>>,
  logger: PluginLogger,
): Promise<RankingPolicy> {
  const policy =
    (Object.hasOwn(builtIn, name) ? builtIn[name] : undefined)?.() ?? (await importPlugin<RankingPolicy>(kind, name));
  policy.setLogger(logger);
  policy.setConfig(config);
  return policy;
}

const kind = {
  what: "ranking policy",
  reason: "RANKING" as const,
  exported: "rankingPolicy",
  builtIn: Object.keys(builtIn),
  methods: ["getName", "setConfig", "setLogger", "schedule"] as const,
};
