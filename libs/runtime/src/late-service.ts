import type { ServiceDefinition } from "@grpc/grpc-js";
import { AppError } from "@berth/core";
import { bindService } from "./grpc-server.ts";
import type { BoundService, ServiceImplementation } from "./grpc-server.ts";

type Method = (request: unknown, context: unknown) => unknown;

/**
 * A service that is served before its implementation exists. As long as `given` returns undefined, each call is refused with `unavailable` NOT_READY, which callers
 * retry.
 */
export function lateService<D extends ServiceDefinition>(
  definition: D,
  given: () => ServiceImplementation<D> | undefined,
): BoundService {
  const methodOf = (name: string): Method => {
    const implementation = given();
    if (!implementation) throw new AppError("unavailable", "NOT_READY", "the service waits for its database");
    return (implementation as unknown as Readonly<Record<string, Method>>)[name]!;
  };
  const methods = Object.entries(definition).map(([name, { responseStream }]) => [
    name,
    responseStream
      ? async function* (request: unknown, context: unknown) {
          yield* methodOf(name)(request, context) as AsyncIterable<unknown>;
        }
      : async (request: unknown, context: unknown) => methodOf(name)(request, context),
  ]);
  return bindService(definition, Object.fromEntries(methods) as ServiceImplementation<D>);
}
