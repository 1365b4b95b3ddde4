import { readFileSync } from "node:fs";

export function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export const printVersion = (json: boolean): void =>
  void process.stdout.write(json ? `${JSON.stringify({ version: version() })}\n` : `berth ${version()}\n`);
