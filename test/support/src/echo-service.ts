import type { ServiceDefinition } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import {
  bindService,
  Closing,
  grpcChannel,
  grpcClient,
  internalAuthorization,
  requireInternal,
  serveGrpc,
  silentLogger,
  sleep,
} from "@berth/runtime";
import type {
  CallContext,
  GrpcClient,
  GrpcClientOptions,
  GrpcServer,
  GrpcServerOptions,
  LogFields,
} from "@berth/runtime";

interface Words {
  readonly text: string;
}
const serialize = ({ text }: Words) => Buffer.from(text);
const deserialize = (bytes: Buffer): Words => ({ text: bytes.toString() });
const text = {
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
};
export const echoService = {
  say: { path: "/test.v1.Echo/Say", requestStream: false, responseStream: false, ...text },
  count: { path: "/test.v1.Echo/Count", requestStream: false, responseStream: true, ...text },
} as const satisfies ServiceDefinition;

/** The smallest service that can do all that a service can: `refuse`, `break`, `flaky`, `hang` and `forever` are words to it. One a test. */
export class Echo implements AsyncDisposable {
  readonly secret = "0123456789abcdef";
  /** Of the clients. */
  readonly closing = new Closing();
  /** Of the servers. */
  readonly server = new Closing();
  readonly logged: { message: string; fields: LogFields | undefined }[] = [];
  /** Of each call to `say`. */
  readonly seen: CallContext[] = [];

  readonly #service = bindService(echoService, {
    say: async ({ text: said }: Words, context: CallContext): Promise<Words> => {
      this.seen.push(context);
      if (said === "refuse")
        throw AppError.received("quota", "QUOTA_SPENT", "user ann has used up the quota", {
          metadata: { user: "ann" },
        });
      if (said === "break") throw new Error("password is 1234");
      if (said === "flaky" && this.seen.length < 3) throw AppError.received("unavailable", "AWAY", "not yet");
      if (said === "hang") await sleep(60_000, context.signal);
      return { text: said.toUpperCase() };
    },
    async *count({ text: said }: Words, { signal }: CallContext): AsyncGenerator<Words> {
      for (let n = 1; ; n += 1) {
        if (said === `${n}`) return;
        if (said === "refuse") throw AppError.received("not-found", "NO_SUCH_THING", "nothing here");
        yield { text: `${n}` };
        if (said === "forever") await sleep(60_000, signal);
      }
    },
  });

  serve(options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
    return serveGrpc({
      address: "127.0.0.1:0",
      services: [this.#service],
      logger: { ...silentLogger, error: (message, fields) => void this.logged.push({ message, fields }) },
      closing: this.server,
      admit: requireInternal(this.secret),
      ...options,
    });
  }

  client(address: string, options: Partial<GrpcClientOptions> = {}): GrpcClient<typeof echoService> {
    return grpcClient(echoService, grpcChannel(address, { closing: this.closing }), {
      service: "echo",
      authorization: internalAuthorization(this.secret),
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closing.close();
    await this.server.close();
  }
}
