import { AppError } from "@berth/core";
import { backoffMs, sleep } from "@berth/runtime";
import { EngineError } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";

const attempts = 3;

/** Pulls images: one pull per image, shared by all runs that wait for it. */
export class ImagePulls {
  readonly #client: EngineClient;
  readonly #stop: AbortSignal;
  readonly #pulls = new Map<
    string,
    { readonly done: Promise<void>; readonly tell: Set<(detail: string) => void>; detail: string }
  >();

  constructor(client: EngineClient, stop: AbortSignal) {
    this.#client = client;
    this.#stop = stop;
  }

  /**
   * Resolves when the engine has the image. Throws `not-found` IMAGE_NOT_FOUND if the registry has no such image or denies access, `invalid` IMAGE_INVALID for a
   * malformed name, and `unavailable` IMAGE_PULL_FAILED with the engine's message after three attempts.
   */
  async pull(image: string, tell: (detail: string) => void): Promise<void> {
    let pull = this.#pulls.get(image);
    if (pull === undefined) {
      const listeners = new Set<(detail: string) => void>();
      const started = { tell: listeners, detail: `pulling image ${image}`, done: Promise.resolve() };
      started.done = this.#pull(image, (detail) => {
        started.detail = detail;
        for (const listener of listeners) listener(detail);
      }).finally(() => this.#pulls.delete(image));
      this.#pulls.set(image, started);
      pull = started;
    }
    pull.tell.add(tell);
    tell(pull.detail);
    try {
      await pull.done;
    } finally {
      pull.tell.delete(tell);
    }
  }

  async #pull(image: string, tell: (detail: string) => void): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await pullOnce(this.#client, image, tell, this.#stop);
      } catch (error) {
        this.#stop.throwIfAborted();
        const failure = pullFailure(image, error);
        if (failure.code !== "unavailable" || attempt === attempts) throw failure;
        tell(`pulling image ${image} failed, trying again: ${failure.message}`);
        await sleep(backoffMs(attempt, Math.random, { baseMs: 500, maxMs: 5000 }), this.#stop);
      }
    }
  }
}

interface Progress {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** One attempt. Reports each whole percent of the known bytes. */
export async function pullOnce(
  client: EngineClient,
  image: string,
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { name, tag } = splitImage(image);
  const layers = new Map<string, { current: number; total: number }>();
  let told = -1;
  for await (const progress of jsonLines<Progress>(await client.pull(name, tag, signal))) {
    if (progress.error !== undefined)
      throw new EngineError(/not found|denied|manifest unknown/i.test(progress.error) ? 404 : 500, progress.error);
    const { id, progressDetail, status } = progress;
    if (id === undefined) continue;
    if (progressDetail?.total)
      layers.set(id, {
        current: status === "Extracting" ? progressDetail.total : (progressDetail.current ?? 0),
        total: progressDetail.total,
      });
    const total = sum([...layers.values()].map((layer) => layer.total));
    const percent =
      total === 0 ? -1 : Math.floor((100 * sum([...layers.values()].map((layer) => layer.current))) / total);
    if (percent > told) tell(`pulling image ${image} ${(told = percent)}%`);
  }
}

/** What a failed pull means for the task. */
export function pullFailure(image: string, thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const { status, message } = thrown instanceof EngineError ? thrown : { status: 0, message: String(thrown) };
  const options = { cause: thrown, metadata: { image } };
  if (status === 400) return new AppError("invalid", "IMAGE_INVALID", `image ${image}: ${message}`, options);
  if (status === 404 || status === 401 || status === 403)
    return new AppError("not-found", "IMAGE_NOT_FOUND", `there is no image ${image}: ${message}`, options);
  return new AppError(
    "unavailable",
    "IMAGE_PULL_FAILED",
    `image ${image} is not here and could not be pulled: ${message}`,
    options,
  );
}

/** Splits a name from its tag or digest; the default tag is "latest". A colon before a slash belongs to a registry's port. */
export function splitImage(image: string): { readonly name: string; readonly tag: string } {
  const digest = image.indexOf("@");
  if (digest >= 0) return { name: image.slice(0, digest), tag: image.slice(digest + 1) };
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/")
    ? { name: image.slice(0, colon), tag: image.slice(colon + 1) }
    : { name: image, tag: "latest" };
}

/** Yields the values of a stream of JSON lines. */
export async function* jsonLines<T>(stream: AsyncIterable<Uint8Array>): AsyncGenerator<T, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T;
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as T;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
