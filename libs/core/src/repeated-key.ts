/**
 * The first key that an object of this JSON has twice, with its parents, as in `env.A`; undefined if there is none. `JSON.parse` silently takes the last one,
 * but the author meant one of them. The text must be JSON.
 */
export function repeatedKey(json: string): string | undefined {
  const open: { readonly keys: Set<string> | undefined; key: string }[] = [];
  let text = "";
  const tokens = /["{}[\]:]/g;
  for (let found = tokens.exec(json); found; found = tokens.exec(json)) {
    const inner = open.at(-1);
    switch (found[0]) {
      case "{":
      case "[":
        open.push({ keys: found[0] === "{" ? new Set() : undefined, key: "" });
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case ":": {
        inner!.key = JSON.parse(text) as string; // escapes may spell one key in two ways
        if (inner!.keys!.has(inner!.key))
          return open
            .filter(({ keys }) => keys)
            .map(({ key }) => key)
            .join(".");
        inner!.keys!.add(inner!.key);
        break;
      }
      default: {
        const end = endOfString(json, found.index);
        text = json.slice(found.index, end + 1);
        tokens.lastIndex = end + 1;
      }
    }
  }
  return undefined;
}

/** Where the string that begins at `start` ends. No regular expression: of a string of megabytes it would exhaust the stack. */
function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); ; end = json.indexOf('"', end + 1)) {
    let slashes = 0;
    while (json[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end;
  }
}
