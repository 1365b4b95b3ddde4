import { readFile } from "node:fs/promises";
import type { ServiceDefinition } from "@grpc/grpc-js";

/** Both versions of the protocol have the same messages. They are handled as bytes, so that the descriptors are loaded only when a client asks. */
const definition = (version: string) =>
  ({
    serverReflectionInfo: {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  }) as const satisfies ServiceDefinition;

export const reflectionServices = [definition("v1"), definition("v1alpha")];

/** Answers `grpc.reflection` for `names` from the descriptor set that buf builds. */
export function reflection(descriptors: URL, names: readonly string[]) {
  return {
    async *serverReflectionInfo(requests: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      const [{ ServerReflection, ServerReflectionService }, bytes] = await Promise.all([
        import("nice-grpc-server-reflection"),
        readFile(descriptors),
      ]);
      const codec = ServerReflectionService.serverReflectionInfo;
      const answers = ServerReflection(Uint8Array.from(bytes), [...names]).serverReflectionInfo(
        decode(requests, codec.requestDeserialize),
        undefined as never,
      );
      for await (const answer of answers)
        yield codec.responseSerialize(answer as Parameters<typeof codec.responseSerialize>[0]);
    },
  };
}

async function* decode<T>(requests: AsyncIterable<Buffer>, codec: (bytes: Buffer) => T): AsyncGenerator<T> {
  for await (const request of requests) yield codec(request);
}
