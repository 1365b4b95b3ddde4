import { describe, expect, it } from "vitest";
import { repeatedKey } from "./repeated-key.ts";

describe("repeatedKey", () => {
  it.each([
    ['{"cpu":1,"cpu":64}', "cpu"],
    ['{"cpu":1,"c\\u0070u":64}', "cpu"],
    ['{"spec":{"env":[{"a":1},{"A":1,"b":{"A":1},"A":2}]}}', "spec.env.A"],
    ['{"":1,"":2}', ""],
    ['{"__proto__":1,"__proto__":2}', "__proto__"],
  ])("finds it in %s", (json, key) => {
    expect(repeatedKey(json)).toBe(key);
  });

  it.each([
    '{"a":{"b":1},"b":{"a":1}}',
    '[{"a":1},{"a":"a"},["a","a"]]',
    '{"a":"{\\"b\\":1,\\"b\\":2}","b":"\\\\"}',
    '"a"',
    "[]",
  ])("finds none in %s", (json) => {
    expect(repeatedKey(json)).toBeUndefined();
  });

  it.each(["x", '\\"', "\\\\"])("reads strings of megabytes of %j", (part) => {
    const long = part.repeat(4_000_000);
    expect(repeatedKey(`{"a":"${long}","b":1}`)).toBeUndefined();
    expect(repeatedKey(`{"a":"${long}","a":1}`)).toBe("a");
  });
});
