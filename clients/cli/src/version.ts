import manifest from "../package.json" with { type: "json" };
import { watchOutput } from "./output/stdout.ts";

export const version = (): string => manifest.version;

export function printVersion(json: boolean): void {
  watchOutput();
  process.stdout.write(json ? `${JSON.stringify({ version: version() })}\n` : `berth ${version()}\n`);
}
