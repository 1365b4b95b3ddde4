import type { ServiceDefinition } from "@grpc/grpc-js";
import { ServerError, Status } from "nice-grpc-common";
import type { CallContext } from "nice-grpc-common";

/** `grpc.health.v1`: messages of one field each, so their bytes are written here rather than generated. */
export interface HealthRequest {
  readonly service: string;
}
export interface HealthAnswer {
  readonly status: "serving" | "not-serving";
}

const requestSerialize = ({ service }: HealthRequest): Buffer => {
  const name = Buffer.from(service);
  return name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
};
const requestDeserialize = (bytes: Buffer): HealthRequest => ({
  service: bytes[0] === 0x0a ? bytes.subarray(2, 2 + (bytes[1] ?? 0)).toString() : "",
});
const responseSerialize = ({ status }: HealthAnswer): Buffer => Buffer.from([0x08, status === "serving" ? 1 : 2]);
const responseDeserialize = (bytes: Buffer): HealthAnswer => ({ status: bytes[1] === 1 ? "serving" : "not-serving" });
const codecs = { requestSerialize, requestDeserialize, responseSerialize, responseDeserialize };

export const healthService = {
  check: { path: "/grpc.health.v1.Health/Check", requestStream: false, responseStream: false, ...codecs },
  watch: { path: "/grpc.health.v1.Health/Watch", requestStream: false, responseStream: true, ...codecs },
} as const satisfies ServiceDefinition;

/** Health of a server, for `Check` and `Watch`. Services have their full names; "" means all. */
export class Health {
  #status: HealthAnswer["status"] = "not-serving";
  #changed = Promise.withResolvers<void>();
  readonly #names: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.#names = new Set(["", ...names]);
  }

  get serving(): boolean {
    return this.#status === "serving";
  }

  set(serving: boolean): void {
    this.#status = serving ? "serving" : "not-serving";
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** The methods of `healthService`. */
  readonly implementation = {
    check: async ({ service }: HealthRequest): Promise<HealthAnswer> => ({ status: this.#of(service) }),
    watch: ({ service }: HealthRequest, context: CallContext): AsyncGenerator<HealthAnswer> =>
      this.#watch(service, context.signal),
  };

  #of(name: string): HealthAnswer["status"] {
    if (!this.#names.has(name)) throw new ServerError(Status.NOT_FOUND, `no service ${name} here`);
    return this.#status;
  }

  async *#watch(name: string, signal: AbortSignal): AsyncGenerator<HealthAnswer> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    let told: HealthAnswer["status"] | undefined;
    for (;;) {
      const changed = this.#changed.promise;
      const now = this.#of(name);
      if (now !== told) yield { status: (told = now) };
      if (signal.aborted) return;
      await Promise.race([changed, aborted]);
    }
  }
}
