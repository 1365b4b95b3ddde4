import { isatty } from "node:tty";
import { trace } from "@opentelemetry/api";
import { pino } from "pino";
import type { DestinationStream, Logger as Pino } from "pino";
import { prettyLog } from "./pretty-log.ts";

/** Fields of a line. A field named `error` is written with its stack and causes. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Passed as an argument, with the fields of its subject bound (`taskId`, `hostId`). */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly service: string;
  readonly level?: "debug" | "info" | "warn" | "error";
  /** File descriptor: 1 for stdout, 2 for stderr (the default, so that stdout is only for a program's output). */
  readonly fd?: number;
  /** `json` for programs, `pretty` for people; `auto` is pretty where `fd` is a terminal. */
  readonly format?: LogFormat;
}

export type LogFormat = "auto" | "json" | "pretty";

/** JSON lines or, for people, plain ones (see `prettyLog`), written synchronously: the line is on disk before the process can die of the error in it. */
export function createLogger({ service, level = "info", fd = 2, format = "auto" }: LoggerOptions): Logger {
  const root = pino(
    {
      level,
      base: { service },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
      messageKey: "message",
      mixin: () => {
        const span = trace.getActiveSpan()?.spanContext();
        return span ? { trace: span.traceId } : {};
      },
    },
    destinationOf(fd, format),
  );
  return wrap(root);
}

function destinationOf(fd: number, format: LogFormat): DestinationStream {
  const file = pino.destination({ dest: fd, sync: true });
  const isTerminal = isatty(fd);
  if (format === "json" || (format === "auto" && !isTerminal)) return file;
  const color = isTerminal && !process.env["NO_COLOR"];
  return { write: (line) => void file.write(prettyLog(line, color)) };
}

const wrap = (to: Pino): Logger => ({
  debug: (message, fields) => to.debug(fields ?? {}, message),
  info: (message, fields) => to.info(fields ?? {}, message),
  warn: (message, fields) => to.warn(fields ?? {}, message),
  error: (message, fields) => to.error(fields ?? {}, message),
  child: (fields) => wrap(to.child(fields)),
});

const nothing = (): void => {};

/** Drops every line; for tests and virtual hosts. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
