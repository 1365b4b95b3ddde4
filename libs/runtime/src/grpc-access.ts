import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "@berth/core";
import type { Admit, Admitted } from "./grpc-admission.ts";

/** The `authorization` header between services, made of the cluster's generated secret. */
export const internalAuthorization = (clusterSecret: string): string => `Berth ${clusterSecret}`;

/** Health and reflection are open to every caller: they reveal nothing about users or tasks. */
export const isOpenMethod = (path: string): boolean => /^\/grpc\.(health|reflection)\./.test(path);

/** Admits only callers with the cluster's secret; throws `unauthenticated` CLUSTER_SECRET. Health and reflection are open. */
export function requireInternal(clusterSecret: string): Admit {
  if (clusterSecret.length < 16)
    throw new AppError("invalid", "CLUSTER_SECRET_WEAK", "the cluster secret has less than 16 characters");
  const digest = hash(internalAuthorization(clusterSecret));
  return (path, authorization) => {
    if (isOpenMethod(path)) return undefined;
    // Hashed first, because the comparison needs equal lengths and must not reveal the length of the secret.
    if (!timingSafeEqual(hash(authorization), digest))
      throw new AppError("unauthenticated", "CLUSTER_SECRET", "this call needs the cluster's own credentials");
    return thisCluster;
  };
}

const thisCluster: Admitted = { user: "this cluster" };

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
