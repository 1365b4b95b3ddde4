import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { LogSink } from "@berth/plugins";

/** Keeps output in memory, with the promise of the real ones: what comes at another offset than the end is not taken. */
export class MemoryLogSink implements LogSink {
  readonly #outputs = new Map<string, Buffer[]>();
  readonly #sizes = new Map<string, number>();
  /** Called before each append; may throw, or be slow. */
  onAppend: () => void | Promise<void> = () => {};

  async size(run: Run, stream: "stdout" | "stderr"): Promise<number> {
    return this.#sizes.get(`${runKey(run)}/${stream}`) ?? 0;
  }

  async append(run: Run, stream: "stdout" | "stderr", offset: number, bytes: Uint8Array): Promise<number> {
    await this.onAppend();
    const key = `${runKey(run)}/${stream}`;
    const size = this.#sizes.get(key) ?? 0;
    if (offset !== size) return size;
    const pieces = this.#outputs.get(key) ?? [];
    pieces.push(Buffer.from(bytes));
    this.#outputs.set(key, pieces);
    this.#sizes.set(key, size + bytes.length);
    return size + bytes.length;
  }

  text(run: Run, stream: "stdout" | "stderr" = "stdout"): string {
    return this.bytes(run, stream).toString();
  }

  bytes(run: Run, stream: "stdout" | "stderr" = "stdout"): Buffer {
    return Buffer.concat(this.#outputs.get(`${runKey(run)}/${stream}`) ?? []);
  }
}
