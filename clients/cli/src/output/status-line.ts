import { note } from "./print.ts";
import { printable } from "./table.ts";

/** A status line on standard error. On a terminal it is animated and redrawn in place; elsewhere each change is printed as a line. */
export interface StatusLine {
  say(text: string): void;
  /** Erases the line, before output is written. */
  clear(): void;
  /** Prints a line that is not erased. */
  note(text: string): void;
}

export const silentStatus: StatusLine = { say() {}, clear() {}, note() {} };

export function statusLine(): StatusLine {
  return process.stderr.isTTY ? spinningLine() : plainLines();
}

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/** Not nanospinner, because that exits on Ctrl-C; here Ctrl-C kills the task. */
function spinningLine(): StatusLine {
  const out = process.stderr;
  let text = "";
  let frame = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = (): void => {
    frame = (frame + 1) % frames.length;
    out.write(`\r\u001b[K${frames[frame]} ${text.slice(0, Math.max(10, out.columns - 3))}`);
  };
  const clear = (): void => {
    if (timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
    out.write("\r\u001b[K");
  };
  return {
    say(next) {
      text = printable(next);
      timer ??= setInterval(draw, 80).unref();
      draw();
    },
    clear,
    note(line) {
      clear();
      note(line);
    },
  };
}

/** Least time between two lines: without it, an array would print a line per element. */
const quietMs = 2_000;

function plainLines(): StatusLine {
  let told = "";
  let toldAt = Number.NEGATIVE_INFINITY;
  const print = (text: string): void => {
    told = text;
    toldAt = performance.now();
    note(text);
  };
  return {
    say(text) {
      if (text !== told && performance.now() - toldAt >= quietMs) print(text);
    },
    clear() {},
    note: print,
  };
}
