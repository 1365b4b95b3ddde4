import type { Progress } from "@berth/local";
import { createSpinner } from "nanospinner";

/** With a spinner where there is a terminal, else a line per step. */
export function terminalProgress(out: NodeJS.WriteStream = process.stderr): Progress {
  return out.isTTY ? spinnerProgress() : lineProgress(out);
}

function spinnerProgress(): Progress {
  let spinner: ReturnType<typeof createSpinner> | undefined;
  let present = "";
  const end = (text?: string) => {
    spinner?.success({ text: text ?? present });
    spinner = undefined;
  };
  return {
    step(text) {
      end();
      present = text;
      spinner = createSpinner(text, { stream: process.stderr }).start();
    },
    update: (text) => void spinner?.update({ text: `${present}: ${text}` }),
    done: end,
    note(text) {
      end();
      process.stderr.write(`  ${text}\n`);
    },
    fail(text) {
      spinner?.error({ text });
      spinner = undefined;
    },
  };
}

function lineProgress(out: NodeJS.WriteStream): Progress {
  return {
    step: (text) => void out.write(`· ${text}\n`),
    update() {},
    done(text) {
      if (text) out.write(`  ${text}\n`);
    },
    note: (text) => void out.write(`  ${text}\n`),
    fail: (text) => void out.write(`✗ ${text}\n`),
  };
}
