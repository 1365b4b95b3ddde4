import { renameSync, rmSync, writeFileSync } from "node:fs";
import { AppError } from "@berth/core";
import { Closing } from "./closing.ts";
import { keepBeating } from "./heartbeat.ts";
import { createLogger } from "./logger.ts";
import { guardNodeVersion } from "./version-guard.ts";

export interface ServiceContext {
  /** Register everything that has to be closed. It is closed in reverse order at the end, or when the start fails. */
  readonly closing: Closing;
  /** Aborted when the process is asked to stop. */
  readonly signal: AbortSignal;
}

/** Result of a service's start. */
export interface StartedService {
  /** Its addresses by name: `{ grpc: "127.0.0.1:4711" }`. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Work that lasts until the stop. If it ends or fails earlier, the process exits with code 1. */
  readonly running?: Promise<unknown>;
}

export interface RunServiceOptions {
  readonly name: string;
  start(context: ServiceContext): Promise<StartedService>;
  /** How long closing may take before the process ends anyway. */
  readonly closeMs?: number;
}

/**
 * The life of a service's process. Once started, it writes `{pid, addresses}` to the file named by BERTH_READY_FILE and touches the file named by
 * BERTH_HEARTBEAT_FILE every second, so that a supervisor notices a hang. SIGTERM or SIGINT stops it; a second one ends it immediately. Exit codes: 0 after a
 * clean stop, 2 for bad configuration, 78 if an operator has to look at a database first, else 1. An unhandled error ends the process, because its state is
 * unknown and every service may be killed at any time.
 */
export async function runService({ name, start, closeMs = 10_000 }: RunServiceOptions): Promise<never> {
  process.umask(0o077); // files of a service are private to its user, unless its code says otherwise
  // Made before the settings are read, because it also logs what is wrong with them.
  const format =
    process.env["BERTH_LOG_FORMAT"] === "json"
      ? "json"
      : process.env["BERTH_LOG_FORMAT"] === "pretty"
        ? "pretty"
        : "auto";
  const logger = createLogger({ service: name, format });
  const closing = new Closing();
  const stop = new AbortController();
  const asked = new Promise<"asked">((resolve) =>
    stop.signal.addEventListener("abort", () => resolve("asked"), { once: true }),
  );
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => (stop.signal.aborted ? process.exit(1) : stop.abort(new Error(`stopped by ${signal}`))));
  }
  const fatal = (error: unknown): never => {
    if (needsOperator(error)) process.exit(failed(error));
    logger.error("fatal: nobody handled this error", { error });
    process.exit(1);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);

  // Keeps the process alive: signal handlers do not, and Node would exit with code 13 when the last socket closes.
  setInterval(() => {}, 0x7fff_ffff);

  const heartbeatFile = process.env["BERTH_HEARTBEAT_FILE"];
  if (heartbeatFile) keepBeating(heartbeatFile);
  const readyFile = process.env["BERTH_READY_FILE"];
  let code = 0;
  try {
    guardNodeVersion();
    if (readyFile) rmSync(readyFile, { force: true });
    const { addresses = {}, running } = await start({ closing, signal: stop.signal });
    if (readyFile) writeReady(readyFile, { pid: process.pid, addresses });
    logger.info("ready", { addresses });
    const first = await Promise.race([asked, ...(running ? [running.then(() => "ended" as const)] : [])]);
    if (first === "ended" && !stop.signal.aborted) throw new Error("the service ended by itself");
  } catch (error) {
    if (!stop.signal.aborted) code = failed(error);
  }
  stop.abort(new Error("the service ends"));
  if (readyFile) rmSync(readyFile, { force: true });
  setTimeout(() => {
    logger.error("closing took too long; ending anyway", { closeMs });
    process.exit(1);
  }, closeMs);
  try {
    await closing.close();
  } catch (error) {
    logger.error("did not close cleanly", { error });
    code ||= 1;
  }
  logger.info("stopped", { code });
  process.exit(code);

  function failed(error: unknown): number {
    const known = error instanceof AppError && error.code !== "internal";
    logger.error(known ? error.message : "could not run", known ? { reason: error.reason } : { error });
    if (needsOperator(error)) return operatorExitCode;
    return known && error.code === "invalid" ? 2 : 1;
  }
}

/** EX_CONFIG of sysexits.h: a supervisor must not restart it before an operator has looked. */
const operatorExitCode = 78;
const operatorReasons: readonly string[] = ["DATABASE_DAMAGED", "DATABASE_REFUSED", "STORAGE_TOO_NEW"];

const needsOperator = (error: unknown): boolean => error instanceof AppError && operatorReasons.includes(error.reason);

/** Writes a draft and renames it, so that no reader sees half of it. */
function writeReady(path: string, content: object): void {
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  renameSync(part, path);
}
