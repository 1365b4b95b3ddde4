import { onReboot } from "../domain/transitions.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { LiveState } from "./host-state.ts";
import type { RunTable } from "./run-table.ts";
import type { SpecTable } from "./spec-table.ts";

const forgetEveryMs = 60_000;
const rememberMs = 3_600_000;

export interface LoadDeps extends Pick<AgentDeps, "journal" | "clock" | "files"> {
  readonly table: RunTable;
  readonly specs: SpecTable;
  readonly state: LiveState;
}

/** Loads runs, specs and terms from the journal. If the machine has booted since, marks the live runs as of an earlier boot. */
export function loadJournal({ journal, clock, files, table, specs: specTable, state }: LoadDeps): void {
  const { runs, specs, terms, bootId } = journal.load();
  state.loadTerms(terms);
  specTable.load(specs);
  const rebooted = bootId !== "" && bootId !== clock.bootId;
  const judged = rebooted ? runs.map((held) => onReboot(held, clock.now())) : runs;
  for (const { specId } of judged) if (specId !== undefined) specTable.hold(specId);
  table.load(judged);
  files.keepScripts(new Set(judged.flatMap(({ specId }) => specId ?? [])));
  const droppedSpecs = specTable.unneeded().filter((id) => specTable.drop(id));
  if (bootId !== clock.bootId || droppedSpecs.length > 0)
    journal.write({ runs: rebooted ? judged : [], droppedSpecs, bootId: clock.bootId });
}

/** Every minute deletes the keys of runs that were settled more than an hour ago, until the returned function is called. */
export function forgetOldKeys({ journal, clock, logger }: Pick<AgentDeps, "journal" | "clock" | "logger">): () => void {
  const timer = setInterval(() => {
    try {
      journal.forget(new Date(clock.now().at.getTime() - rememberMs));
    } catch (error) {
      logger.warn("old keys stay in the journal for now", { error });
    }
  }, forgetEveryMs);
  return () => clearInterval(timer);
}
