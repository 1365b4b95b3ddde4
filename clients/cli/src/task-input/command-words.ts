/** Part of the help of run and submit. */
export const commandHelp = `Options come first. Everything behind -- is the command; without --, the first word that is no option begins it.
A script file (#! or .sh) may carry options in lines such as "#BERTH --mem 2G"; the command line wins.`;

/** Whether -- stood right before the command. Read from argv, because the parser removes it. */
export const wasDashed = (words: readonly string[], argv: readonly string[] = process.argv): boolean =>
  argv[argv.length - words.length - 1] === "--";
