import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "@berth/core";
import type { Admit, Admitted } from "./grpc-admission.ts";

/** The `authorization` by which services know each other; the secret is generated, one for a cluster. */
export const internalAuthorization = (clusterSecret: string): string => `Berth ${clusterSecret}`;

/** Health and reflection are open to every caller: they reveal nothing about users or tasks. */
export const isOpenMethod = (path: string): boolean => /^\/grpc\.(health|reflection)\./.test(path);

/** Lets in only who has the cluster's secret; else `unauthenticated` CLUSTER_SECRET. Health and reflection are open. */
export function requireInternal(clusterSecret: string): Admit {
  if (clusterSecret.length < 16)
    throw new AppError("invalid", "CLUSTER_SECRET_WEAK", "the cluster secret has less than 16 characters");
  const digest = hash(internalAuthorization(clusterSecret));
  return (path, authorization) => {
    if (isOpenMethod(path)) return undefined;
    // Hashed first: the comparison wants equal lengths, and must not tell the right one.
    if (!timingSafeEqual(hash(authorization), digest))
      throw new AppError("unauthenticated", "CLUSTER_SECRET", "this call needs the cluster's own credentials");
    return thisCluster;
  };
}

const thisCluster: Admitted = { user: "this cluster" };

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
