import { describe, expect, it } from "vitest";
import { maxNamedTasks, parseTaskIds } from "./task-ids.ts";

describe("parseTaskIds", () => {
  it.each<[string[], string[]]>([
    [["17"], ["17"]],
    [
      ["17.4", "18"],
      ["17.4", "18"],
    ],
    [["17.1-3"], ["17.1", "17.2", "17.3"]],
    [["17.1-2,7,10-20:5"], ["17.1", "17.2", "17.7", "17.10", "17.15", "17.20"]],
    [
      ["17.2", "17.1-3", "17.2"],
      ["17.2", "17.1", "17.3"],
    ],
    [["17.0-0"], ["17.0"]],
    [["17.2147483646-2147483647"], ["17.2147483646", "17.2147483647"]],
  ])("reads %j", (words, ids) => expect(parseTaskIds(words)).toEqual(ids));

  it.each([
    "17.3-1",
    "17.1-",
    "17.-1",
    "17.1,,2",
    "17.1-3:0",
    "17.1:2",
    "17.1-2147483648",
    "17.1-3-5",
    "17.1,x",
    "17-19",
    "x",
    "",
    "0.1-3",
    "17.",
    "17.04",
  ])("refuses %j, naming the rule", (word) => {
    expect(() => parseTaskIds([word], "id")).toThrow(
      expect.objectContaining({ reason: "INVALID_TASK_ID", message: expect.stringContaining("id") as string }),
    );
  });

  it("refuses lists that are too long before they are made", () => {
    expect(parseTaskIds([`17.1-${maxNamedTasks}`])).toHaveLength(maxNamedTasks);
    for (const words of [["17.0-2147483647"], [`17.1-${maxNamedTasks}`, "18"], ["17.1-60000", "18.1-60000"]])
      expect(() => parseTaskIds(words)).toThrow("more than");
  });
});
