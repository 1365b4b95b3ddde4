import { describe, expect, it } from "vitest";
import { mongoStartError } from "./mongo-start.ts";

const thrown = (name: string, message: string, code?: number) => Object.assign(new Error(message), { name, code });

describe("mongoStartError", () => {
  it.each([
    [thrown("MongoServerError", "Authentication failed.", 18), "DATABASE_REFUSED", "Authentication failed."],
    [thrown("MongoServerError", "not authorized on berth", 13), "DATABASE_REFUSED", "not authorized on berth"],
    [thrown("MongoParseError", "Invalid scheme"), "DATABASE_URL", "Invalid scheme"],
    [thrown("MongoServerSelectionError", "connect ECONNREFUSED"), "DATABASE_UNAVAILABLE", "connect ECONNREFUSED"],
    [thrown("MongoServerError", "not primary", 10_107), "DATABASE_UNAVAILABLE", "not primary"],
    ["nothing", "DATABASE_UNAVAILABLE", "nothing"],
  ])("%s is %s", (cause, reason, words) => {
    expect(mongoStartError(cause)).toMatchObject({ reason, message: expect.stringContaining(words) });
  });
});
