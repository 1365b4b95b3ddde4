/**
 * The first key that an object of this JSON has twice, with its parents, as in `env.A`; undefined if there is none. `JSON.parse` silently takes the last one,
 * but the author meant one of them. The text must be JSON.
 */
export function repeatedKey(json: string): string | undefined {
  const open: { readonly keys: Set<string> | undefined; key: string }[] = [];
  let text = "";
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    const inner = open.at(-1);
    switch (token) {
      case "{":
      case "[":
        open.push({ keys: token === "{" ? new Set() : undefined, key: "" });
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
      default:
        text = token;
    }
  }
  return undefined;
}
