import { ServerInterceptingCall } from "@grpc/grpc-js";
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Admitted } from "./grpc-admission.ts";

type Call = ServerInterceptingCallInterface;
type Listener = Parameters<Call["start"]>[0];

/** A message and its sender. The outermost layer of the handlers unpacks it. */
export class SentMessage {
  readonly message: unknown;
  readonly admitted: Admitted | undefined;
  constructor(message: unknown, admitted: Admitted | undefined) {
    this.message = message;
    this.admitted = admitted;
  }
}

export interface GateOptions {
  /** Gets the call's headers. No message is read until `open` is called. */
  gate(metadata: Metadata, open: (admitted: Admitted | undefined) => void): void;
  /** Whether each message reaches the handlers as a SentMessage. */
  readonly wrapsMessages: boolean;
  /** Called with each message that is sent. */
  readonly onMessage: (() => void) | undefined;
}

/**
 * A call that reaches its handler when the gate opens. Nothing needs a queue at the gate, because messages are read only when the handler asks for them. So this class
 * overrides the methods of its base class, whose queues and closures cost more than the gate itself.
 */
export class GatedCall extends ServerInterceptingCall {
  readonly #call: Call;
  readonly #options: GateOptions;

  constructor(call: Call, options: GateOptions) {
    super(call);
    this.#call = call;
    this.#options = options;
  }

  override start(listener: Listener): void {
    const { gate, wrapsMessages } = this.#options;
    let sender: Admitted | undefined;
    let isCancelled = false;
    this.#call.start({
      onReceiveMetadata: (metadata) =>
        gate(metadata, (admitted) => {
          sender = admitted;
          if (!isCancelled) listener.onReceiveMetadata(metadata);
        }),
      onReceiveMessage: (message: unknown) =>
        listener.onReceiveMessage(wrapsMessages ? new SentMessage(message, sender) : message),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel() {
        isCancelled = true;
        listener.onCancel();
      },
    });
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#options.onMessage?.();
    this.#call.sendMessage(message, callback);
  }
  override sendMetadata(metadata: Metadata): void {
    this.#call.sendMetadata(metadata);
  }
  override sendStatus(status: Parameters<Call["sendStatus"]>[0]): void {
    this.#call.sendStatus(status);
  }
}
