import { readFile } from "node:fs/promises";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";

/** A message that could not be decoded. grpc-js would answer INTERNAL, as if it were our fault. */
class UnreadableMessage {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** The same service, whose handlers get an UnreadableMessage instead of a fault of the library. `readableRequest` stands before them. */
export function keepUnreadable(definition: ServiceDefinition): ServiceDefinition {
  const kept = Object.entries(definition).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        return method.requestDeserialize(bytes);
      } catch {
        return new UnreadableMessage(bytes);
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(kept) as ServiceDefinition;
}

/** The request of a call, or the stream of its messages. Throws `invalid` UNREADABLE_MESSAGE, naming the field where it can be found. */
export async function readableRequest(path: string, request: unknown): Promise<unknown> {
  if (request instanceof UnreadableMessage) throw await faultOf(path, request.bytes);
  if (request instanceof Object && Symbol.asyncIterator in request)
    return eachReadable(path, request as AsyncIterable<unknown>);
  return request;
}

async function* eachReadable(path: string, messages: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const message of messages) {
    if (message instanceof UnreadableMessage) throw await faultOf(path, message.bytes);
    yield message;
  }
}

const descriptors = new URL("../../contracts/src/gen/descriptors.binpb", import.meta.url);

/** Decodes it once more by its description, which takes integers of 64 bits as they are. Slow, and only for what was refused already. */
async function faultOf(path: string, bytes: Buffer): Promise<AppError> {
  const [, service = "", method = ""] = path.split("/");
  const found = await findUnsafe(service, method, bytes).catch(() => undefined);
  const field = found ?? "request";
  const rule = found ? "must be a whole number from -(2^53 - 1) to 2^53 - 1" : "must be a message of this method";
  return new AppError("invalid", "UNREADABLE_MESSAGE", `${field}: ${rule}`, { metadata: { field, rule } });
}

/** Where a number is that no double holds, as the .proto names it. Rejects where the bytes are no message at all. */
async function findUnsafe(service: string, method: string, bytes: Buffer): Promise<string | undefined> {
  const [{ createFileRegistry, fromBinary }, { FileDescriptorSetSchema }] = await Promise.all([
    import("@bufbuild/protobuf"),
    import("@bufbuild/protobuf/wkt"),
  ]);
  const { reflect } = await import("@bufbuild/protobuf/reflect");
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(descriptors)));
  const input = registry.getService(service)?.methods.find(({ name }) => name === method)?.input;
  if (!input) return undefined;
  return unsafeField(reflect(input, fromBinary(input, bytes)), "");
}

function unsafeField(message: ReflectMessage, within: string): string | undefined {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const name = within + field.name;
    const value: unknown = message.get(field);
    const items: [string, unknown][] =
      field.fieldKind === "list"
        ? [...(value as Iterable<unknown>)].map((item, at) => [`${name}[${at}]`, item])
        : field.fieldKind === "map"
          ? [...(value as Iterable<[unknown, unknown]>)].map(([key, item]) => [`${name}.${String(key)}`, item])
          : [[name, value]];
    for (const [itemName, item] of items) {
      if (typeof item === "bigint" && !Number.isSafeInteger(Number(item))) return itemName;
      if (item instanceof Object && "fields" in item) {
        const inner = unsafeField(item as ReflectMessage, `${itemName}.`);
        if (inner !== undefined) return inner;
      }
    }
  }
  return undefined;
}
