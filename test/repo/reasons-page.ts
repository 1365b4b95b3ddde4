import { writeFileSync } from "node:fs";
import { reasons } from "@berth/core";

export const reasonsPath = new URL("../../docs/reasons.md", import.meta.url);

/** docs/reasons.md, as the table of reasons in libs/core says it. `npm run reasons` writes it. */
export function reasonsPage(): string {
  const lines = [
    "# Reasons of errors",
    "",
    "<!-- Written by `npm run reasons` from libs/core/src/reasons.ts. -->",
    "",
    "Every error has a code, a reason and a message. The code says what a client may do, and decides the exit code of `berth`: 2 for `invalid`, `conflict` and `precondition`, 3 for `not-found`, 4 for `denied`, `unauthenticated` and `quota`, 5 for `unavailable`, 1 for `internal`. The reason is a constant for programs. The message is for people and may change.",
    "",
    "The reason of a *task* that ended or was refused by its host is another thing: see [design/agent.md](design/agent.md).",
  ];
  for (const [group, entries] of Object.entries(reasons)) {
    lines.push("", `## ${group}`, "", "| reason | means |", "|---|---|");
    for (const [reason, meaning] of Object.entries(entries)) lines.push(`| \`${reason}\` | ${meaning} |`);
  }
  return `${lines.join("\n")}\n`;
}

if (import.meta.main) writeFileSync(reasonsPath, reasonsPage());
