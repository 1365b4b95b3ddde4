import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import type { DescMessage } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { BinaryReader, WireType, configureTextEncoding, getTextEncoding } from "@bufbuild/protobuf/wire";

// Refuses text that is not UTF-8. The default decoder replaces it by U+FFFD, which changes paths and arguments silently.
const usual = getTextEncoding();
configureTextEncoding({ ...usual, decodeUtf8: (bytes) => usual.decodeUtf8(bytes, true) });

/** A message that could not be decoded. grpc-js would answer INTERNAL, as for a fault of the server. */
class UnreadableMessage {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** The same service, whose handlers get an UnreadableMessage instead of an error of the library. `readableRequest` runs before them. */
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

/** The request of a call, or the stream of its messages. Rejects with `invalid` UNREADABLE_MESSAGE, naming the field if it can be found. */
export function readableRequest(path: string, request: unknown): unknown {
  if (request instanceof UnreadableMessage) return faultOf(path, request.bytes).then((error) => Promise.reject(error));
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

/** Decodes the message again by its descriptor, to find the faulty field. Slow, and only for refused messages. */
async function faultOf(path: string, bytes: Buffer): Promise<AppError> {
  const [, service = "", method = ""] = path.split("/");
  const found = await findFault(service, method, bytes).catch(() => undefined);
  const { field, rule } = found ?? { field: "request", rule: "must be a message of this method" };
  return new AppError("invalid", "UNREADABLE_MESSAGE", `${field}: ${rule}`, { metadata: { field, rule } });
}

interface Fault {
  /** Name in the .proto. */
  readonly field: string;
  readonly rule: string;
}

/** Finds text that is not UTF-8, or a number that no double can represent. Rejects if the bytes are no message at all. */
async function findFault(service: string, method: string, bytes: Buffer): Promise<Fault | undefined> {
  const [{ createFileRegistry, fromBinary }, { FileDescriptorSetSchema }] = await Promise.all([
    import("@bufbuild/protobuf"),
    import("@bufbuild/protobuf/wkt"),
  ]);
  const { reflect } = await import("@bufbuild/protobuf/reflect");
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(descriptors)));
  const input = registry.getService(service)?.methods.find(({ name }) => name === method)?.input;
  if (!input) return undefined;
  const text = badText(input, bytes, "");
  if (text !== undefined) return { field: text, rule: "must be text in UTF-8" };
  const number = unsafeField(reflect(input, fromBinary(input, bytes)), "");
  return number === undefined
    ? undefined
    : { field: number, rule: "must be a whole number from -(2^53 - 1) to 2^53 - 1" };
}

/** `ScalarType.STRING`; its module is loaded only after a refused message. */
const scalarString = 9;

/** The field whose text is not UTF-8. */
function badText(type: DescMessage, bytes: Uint8Array, within: string): string | undefined {
  const reader = new BinaryReader(bytes);
  const counts = new Map<number, number>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = type.fields.find((each) => each.number === number);
    if (!field || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    const value = reader.bytes();
    const at = counts.get(number) ?? 0;
    counts.set(number, at + 1);
    const name = `${within}${field.name}${field.fieldKind === "list" ? `[${at}]` : ""}`;
    if (field.fieldKind === "map") {
      if (!isUtf8(value)) return name; // key and value, each behind a tag and a length
    } else if (field.message) {
      const inner = badText(field.message, value, `${name}.`);
      if (inner !== undefined) return inner;
    } else if (field.scalar === scalarString && !isUtf8(value)) return name;
  }
  return undefined;
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
