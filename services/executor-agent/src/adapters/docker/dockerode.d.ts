/** The part of dockerode that engine-client.ts uses; it brings no types of its own. */
declare module "dockerode" {
  interface DialOptions {
    readonly path: string;
    readonly method: "GET" | "POST" | "DELETE";
    /** Query, or with `_query` and `_body` both. */
    readonly options?: object;
    readonly file?: Uint8Array | NodeJS.ReadableStream;
    readonly isStream?: boolean;
    readonly abortSignal?: AbortSignal;
    readonly statusCodes: Readonly<Record<number, true | string>>;
  }

  class Docker {
    constructor(options: {
      socketPath?: string;
      protocol?: "http" | "https";
      host?: string;
      port?: number;
      ca?: Uint8Array;
      cert?: Uint8Array;
      key?: Uint8Array;
      agent?: unknown;
    });
    readonly modem: {
      dial(options: DialOptions, callback: (error: Error | null, answer: unknown) => void): void;
    };
  }

  export default Docker;
}
