import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import type { EngineClient } from "./engine-client.ts";
import { ImagePulls, splitImage } from "./image-pulls.ts";

const client = (...answers: object[][]): { readonly client: EngineClient; pulls: number } => {
  const made = {
    pulls: 0,
    client: {
      pull: async () =>
        Readable.from(
          answers[Math.min(made.pulls++, answers.length - 1)]!.map((line) => Buffer.from(`${JSON.stringify(line)}\n`)),
        ),
    } as unknown as EngineClient,
  };
  return made;
};
const never = new AbortController().signal;

describe("splitImage", () => {
  it("knows a tag from a port and a digest", () => {
    expect(splitImage("alpine")).toEqual({ name: "alpine", tag: "latest" });
    expect(splitImage("localhost:5000/a/b")).toEqual({ name: "localhost:5000/a/b", tag: "latest" });
    expect(splitImage("localhost:5000/a/b:1")).toEqual({ name: "localhost:5000/a/b", tag: "1" });
    expect(splitImage("a@sha256:00")).toEqual({ name: "a", tag: "sha256:00" });
  });
});

describe("ImagePulls", () => {
  it("pulls once for all who wait, and tells them how far it is", async () => {
    const engine = client([
      { status: "Downloading", id: "l1", progressDetail: { current: 50, total: 100 } },
      { status: "Downloading", id: "l2", progressDetail: { current: 0, total: 100 } },
      { status: "Downloading", id: "l2", progressDetail: { current: 100, total: 100 } },
    ]);
    const pulls = new ImagePulls(engine.client, never);
    const told: string[] = [];
    await Promise.all([pulls.pull("a:1", (detail) => told.push(detail)), pulls.pull("a:1", () => {})]);
    expect(engine.pulls).toBe(1);
    expect(told).toEqual(["pulling image a:1", "pulling image a:1 50%", "pulling image a:1 75%"]);
  });

  it("gives up at once where there is no such image, and says so", async () => {
    const engine = client([{ error: "manifest for a:1 not found: manifest unknown" }]);
    await expect(new ImagePulls(engine.client, never).pull("a:1", () => {})).rejects.toMatchObject({
      reason: "IMAGE_NOT_FOUND",
    });
    expect(engine.pulls).toBe(1);
  });

  it("tries again where the registry is not reached", async () => {
    const engine = client([{ error: "dial tcp: i/o timeout" }], [{ status: "Downloaded" }]);
    await new ImagePulls(engine.client, never).pull("a:1", () => {});
    expect(engine.pulls).toBe(2);
  });
});
