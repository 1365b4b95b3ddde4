/** Fields with a fixed place in a line. */
const placed = new Set(["time", "level", "service", "message", "error"]);
const colors: Readonly<Record<string, string>> = { error: "31", warn: "33", debug: "2" };

/** A line of the log for people: time of day, level, service, message, `name=value` for each field, and below it further lines of the message and an error's stack with its causes. */
export function prettyLog(json: string, color: boolean): string {
  let line: Readonly<Record<string, unknown>>;
  try {
    line = JSON.parse(json) as typeof line;
  } catch {
    return json; // not a line of Berth's log: unchanged
  }
  const text = (name: string): string => (typeof line[name] === "string" ? line[name] : "");
  const level = text("level");
  const fields = Object.entries(line)
    .filter(([name]) => !placed.has(name))
    .map(([name, value]) => `${name}=${plain(value)}`);
  const paint = (words: string, code: string | undefined): string =>
    color && code !== undefined ? `\u001b[${code}m${words}\u001b[0m` : words;
  const [first = "", ...others] = text("message").split("\n");
  const head = [
    paint(text("time").slice(11, 23), "2"),
    paint(level.toUpperCase().padEnd(5), colors[level]),
    text("service"),
    paint(printable(first), colors[level]),
    ...(fields.length > 0 ? [paint(fields.join(" "), "2")] : []),
  ].join("  ");
  const below = [...others.map((each) => each.trimStart()), ...stackOf(line["error"])].map(
    (each) => `    ${printable(each)}\n`,
  );
  return `${head}\n${below.join("")}`;
}

function stackOf(error: unknown): string[] {
  if (error === undefined) return [];
  if (typeof error !== "object" || error === null) return [plain(error)];
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  return (typeof stack === "string" ? stack : typeof message === "string" ? message : JSON.stringify(error)).split(
    "\n",
  );
}

/** Quotes a value that has spaces or would be misread. */
function plain(value: unknown): string {
  if (typeof value !== "string") return printable(JSON.stringify(value) ?? "");
  return /^[\w./:@+-]+$/.test(value) ? value : printable(JSON.stringify(value));
}

/** Escapes control characters, because names and messages may come from any user. */
const printable = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
