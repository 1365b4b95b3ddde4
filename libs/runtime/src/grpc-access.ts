import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "@berth/core";
import type { ServerMiddleware } from "nice-grpc-common";

/** The `authorization` by which services know each other; the secret is generated, one for a cluster. */
export const internalAuthorization = (clusterSecret: string): string => `Berth ${clusterSecret}`;

/** Anyone on this machine may ask whether a server is alive and what it speaks. */
const open = /^\/grpc\.(health|reflection)\./;

/** Lets in only who has the cluster's secret; else `unauthenticated` CLUSTER_SECRET. Health and reflection are open. */
export function requireInternal(clusterSecret: string): ServerMiddleware {
  if (clusterSecret.length < 16)
    throw new AppError("invalid", "CLUSTER_SECRET_WEAK", "the cluster secret has less than 16 characters");
  const wanted = internalAuthorization(clusterSecret);
  const digest = hash(wanted);
  return async function* (call, context) {
    const given = context.metadata.get("authorization") ?? "";
    // Hashed first: the comparison wants equal lengths, and must not tell the right one.
    if (!open.test(call.method.path) && !timingSafeEqual(hash(given), digest)) {
      throw new AppError("unauthenticated", "CLUSTER_SECRET", "this call needs the cluster's own credentials");
    }
    return yield* call.next(call.request, context);
  };
}

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
