export interface Bar {
  readonly label: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** A picture of what ran when: one line per bar, all on one scale of `width` characters. */
export function drawTimeline(bars: readonly Bar[], width = 60): string[] {
  if (bars.length === 0) return [];
  const from = Math.min(...bars.map((b) => b.startMs));
  const to = Math.max(...bars.map((b) => b.endMs), from + 1);
  const scale = width / (to - from);
  const labelWidth = Math.max(...bars.map((b) => b.label.length));
  const lines = bars.map((bar) => {
    const start = Math.min(width - 1, Math.floor((bar.startMs - from) * scale));
    const length = Math.min(width - start, Math.max(1, Math.round((bar.endMs - bar.startMs) * scale)));
    return `${bar.label.padEnd(labelWidth)} │${" ".repeat(start)}${"█".repeat(length)}${" ".repeat(width - start - length)}│`;
  });
  const seconds = `${Math.round((to - from) / 100) / 10} s`;
  return [...lines, `${" ".repeat(labelWidth)} 0${" ".repeat(Math.max(1, width - seconds.length + 1))}${seconds}`];
}
