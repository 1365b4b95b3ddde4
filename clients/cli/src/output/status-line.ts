import { note } from "./print.ts";
import { printable } from "./table.ts";

/** One line on standard error that says what is going on now. On a terminal it turns and changes in place; elsewhere each change is a line. */
export interface StatusLine {
  say(text: string): void;
  /** Gives the line back, for output. */
  clear(): void;
  /** A line that stays. */
  note(text: string): void;
}

export const silentStatus: StatusLine = { say() {}, clear() {}, note() {} };

export function statusLine(): StatusLine {
  return process.stderr.isTTY ? spinningLine() : plainLines();
}

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/** Not nanospinner: that one ends the process on Ctrl-C, which here is the task's. */
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

/** In a log file, the news of an array would be a line for each element. */
const quietMs = 2_000;

function plainLines(): StatusLine {
  let told = "";
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (text: string): void => {
    told = text;
    toldAt = performance.now();
    note(text);
  };
  return {
    say(text) {
      if (text !== told && performance.now() - toldAt >= quietMs) tell(text);
    },
    clear() {},
    note: tell,
  };
}
