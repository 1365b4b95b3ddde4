import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { AppError } from "@berth/core";
import { countWords } from "./demo-answer.ts";
import type { Layout } from "@berth/local/layout";

/** What the demo reads: text files of this machine, copied where the volume `texts` points. */
export interface DemoTexts {
  readonly files: readonly string[];
  readonly from: string;
  /** The right answer. */
  readonly words: number;
}

const systemLicences = "/usr/share/common-licenses";
const mostTexts = 20;

/** Copies licences of this machine, or of Berth's own dependencies, into the demo's directory; each once. */
export function prepareTexts(layout: Layout, root: string): DemoTexts {
  const target = join(layout.data, "demo", "texts");
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const { paths, from } = existsSync(systemLicences) ? systemTexts() : dependencyTexts(root);
  for (const { path, name } of paths) if (!existsSync(join(target, name))) copyFileSync(path, join(target, name));
  const files = readdirSync(target).toSorted();
  if (files.length === 0)
    throw new AppError("precondition", "NO_DEMO_TEXTS", `no text files to count words in, in ${from}`);
  return { files, from, words: files.reduce((sum, name) => sum + countWords(readFileSync(join(target, name))), 0) };
}

interface TextFiles {
  readonly paths: readonly { readonly path: string; readonly name: string }[];
  readonly from: string;
}

function systemTexts(): TextFiles {
  const real = new Set(readdirSync(systemLicences).map((name) => realpathSync(join(systemLicences, name))));
  const paths = [...real]
    .filter((path) => statSync(path).isFile())
    .toSorted()
    .slice(0, mostTexts);
  return { paths: paths.map((path) => ({ path, name: basename(path) })), from: systemLicences };
}

function dependencyTexts(root: string): TextFiles {
  const modules = join(root, "node_modules");
  const paths = readdirSync(modules)
    .flatMap((name) =>
      ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((file) => ({
        path: join(modules, name, file),
        name: `${name}.txt`,
      })),
    )
    .filter(({ path }) => existsSync(path))
    .slice(0, mostTexts);
  return { paths, from: modules };
}

/** Each element counts the words of one text and writes the number for the merge. */
export const countScript = (folder: string): string => `#!/bin/sh
# Element $BERTH_ARRAY_INDEX counts the words of one text.
set -e
set -- "$BERTH_VOLUME_TEXTS"/*
shift $((BERTH_ARRAY_INDEX - 1))
words=$(LC_ALL=C wc -w < "$1")
mkdir -p "$BERTH_VOLUME_SCRATCH/${folder}"
echo "$words \${1##*/}" > "$BERTH_VOLUME_SCRATCH/${folder}/$BERTH_ARRAY_INDEX.part"
mv "$BERTH_VOLUME_SCRATCH/${folder}/$BERTH_ARRAY_INDEX.part" "$BERTH_VOLUME_SCRATCH/${folder}/$BERTH_ARRAY_INDEX"
echo "$words words in \${1##*/}"
`;

/** Waits for all of them (afterok), merges, prints. */
export const mergeScript = (folder: string): string => `#!/bin/sh
# Runs when all elements succeeded.
set -e
total=0
texts=0
for part in "$BERTH_VOLUME_SCRATCH/${folder}"/*; do
  read -r words name < "$part"
  total=$((total + words))
  texts=$((texts + 1))
done
rm -r "$BERTH_VOLUME_SCRATCH/${folder}"
echo "$total words in $texts texts"
`;
