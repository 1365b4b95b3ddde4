import { readFileSync, statSync } from "node:fs";
import { parseEnv } from "node:util";
import { AppError, isSecretSetting, secretFileFault } from "@berth/core";
import { isUnknownSetting, unknownSetting } from "./setting-names.ts";

/**
 * Settings from files of `NAME=value` lines. A later file overrides an earlier one; the environment overrides all. Throws one `invalid` ENV_FILE that lists every fault:
 * what cannot be read, lines without `=`, unknown `BERTH_` names, and secrets in a file that others may read.
 */
export function settingsOf(files: readonly string[], env: NodeJS.ProcessEnv): Record<string, string> {
  const settings: Record<string, string> = {};
  const faults = files.flatMap((file) => readInto(settings, file));
  if (faults.length > 0)
    throw new AppError(
      "invalid",
      "ENV_FILE",
      faults.length === 1 ? faults[0]! : `the settings are not valid:\n  ${faults.join("\n  ")}`,
      { metadata: { path: files.join(",") } },
    );
  for (const [name, value] of Object.entries(env)) if (value !== undefined) settings[name] = value;
  return settings;
}

/** Adds what the file says; returns what is wrong with it. */
function readInto(settings: Record<string, string>, file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return [`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`];
  }
  const found = Object.entries(parseEnv(text)).map(([name, value]): [string, string] => [name, value ?? ""]);
  for (const [name, value] of found) settings[name] = value;
  const exposed = found.some(([name, value]) => isSecretSetting(name, value))
    ? secretFileFault(file, statSync(file))
    : undefined;
  return [
    ...linesWithoutName(
      text,
      found.map(([, value]) => value),
    ).map((line) => `${file}: line ${line} is not NAME=value`),
    ...found.filter(([name]) => isUnknownSetting(name)).map(([name]) => `${file}: ${unknownSetting(name)}`),
    ...(exposed === undefined ? [] : [exposed]),
  ];
}

const meant = /^\s*(#.*|(export\s+)?[A-Za-z_][A-Za-z0-9_.-]*\s*=.*)?$/;

/** Numbers of the lines that `parseEnv` ignores silently. A line inside a quoted value may be anything. */
function linesWithoutName(text: string, values: readonly string[]): number[] {
  const ofValues = new Set(values.filter((value) => value.includes("\n")).flatMap((value) => value.split("\n")));
  return text.split(/\r?\n/).flatMap((line, at) => {
    const isPartOfValue = ofValues.has(line) || ofValues.has(line.replace(/["'`]\s*(#.*)?$/, ""));
    return meant.test(line) || isPartOfValue ? [] : [at + 1];
  });
}
