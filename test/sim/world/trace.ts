import type { Logger } from "@berth/runtime";
import type { Life, VirtualTime } from "./time.ts";

/** The events of a world in order: always as a hash, and as lines where wanted. */
export class Trace {
  readonly lines: string[] = [];
  /** Log messages of processes, each once. They show whether a world reached the cases that matter. */
  readonly said = new Set<string>();
  readonly #keep: boolean;
  #hash = 0x811c_9dc5;

  constructor(keep: boolean) {
    this.#keep = keep;
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  add(atMs: number, what: string): void {
    const line = `${(atMs / 1000).toFixed(4)} ${what}`;
    let hash = this.#hash;
    for (let at = 0; at < line.length; at++) hash = Math.imul(hash ^ line.charCodeAt(at), 0x0100_0193);
    this.#hash = hash;
    if (this.#keep) this.lines.push(line);
  }

  /** What a process logs is in the lines only: it may name what differs from run to run, such as an epoch. */
  logger(time: VirtualTime, life: Life): Logger {
    const write =
      (level: string) =>
      (message: string, fields?: object): void => {
        if (!life.alive) return;
        this.said.add(message);
        if (!this.#keep) return;
        const more = fields ? JSON.stringify(fields, errorsAsText) : "";
        this.lines.push(`${(time.nowMs / 1000).toFixed(4)}   [${life.name} ${level}] ${message} ${more}`);
      };
    const logger: Logger = {
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      child: () => logger,
    };
    return logger;
  }
}

const errorsAsText = (_: string, value: unknown): unknown =>
  value instanceof Error ? `${value.name}: ${value.message}` : value;
