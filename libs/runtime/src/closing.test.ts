import { describe, expect, it } from "vitest";
import { Closing } from "./closing.ts";

describe("Closing", () => {
  it("closes in the reverse order, once, and goes on after a failure", async () => {
    const closing = new Closing();
    const order: string[] = [];
    closing.add(() => void order.push("first"));
    closing.add(() => {
      throw new Error("second fails");
    });
    closing.add(async () => void order.push("third"));
    await expect(closing.close()).rejects.toMatchObject({
      errors: [expect.objectContaining({ message: "second fails" })],
    });
    expect(order).toEqual(["third", "first"]);
    await closing.close();
    expect(order).toEqual(["third", "first"]);
  });
});
