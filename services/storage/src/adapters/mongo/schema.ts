import { randomBytes } from "node:crypto";
import { AppError } from "@berth/core";
import type { MongoCalls } from "./calls.ts";
import { collections, formVersion } from "./collections.ts";
import type { CollectionName, WriterDoc } from "./collections.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { isDuplicateKey, isExistingCollection } from "./errors.ts";
import { uuidV7 } from "../form/uuid-v7.ts";

/**
 * Creates missing collections and indexes. Safe to run from several stores at once. Throws `precondition` DATABASE_FORM where a newer version of Berth has
 * changed it, and NO_TRANSACTIONS where the server is no replica set.
 */
export async function prepare(
  calls: MongoCalls,
  clock: DatabaseClock,
  given: (() => number) | undefined,
): Promise<{ readonly writer: WriterDoc; readonly copy: string }> {
  const hello = await calls.admin({ hello: 1 });
  if (hello["setName"] === undefined && hello["msg"] !== "isdbgrid")
    throw new AppError(
      "precondition",
      "NO_TRANSACTIONS",
      "the MongoDB server is no replica set: without one it has no transactions; start it with --replSet, also where it is alone",
    );
  const localTime = (hello["localTime"] as Date).getTime();
  clock.said(localTime);
  const known = await writerOf(calls);
  if (known && known.form > formVersion)
    throw new AppError(
      "precondition",
      "DATABASE_FORM",
      `the database has form ${known.form}, this version knows up to ${formVersion}`,
    );
  for (const name of Object.keys(collections) as CollectionName[]) await makeCollection(calls, name);
  if (!known) await makeWriter(calls, given ? given() : localTime);
  // From now on earlier versions refuse to start on it: they would take a lease that fails for one that is retried.
  if (known && known.form < formVersion)
    await calls.findOneAndUpdate("meta", { _id: "writer", form: known.form }, { $set: { form: formVersion } });
  const writer = (await writerOf(calls))!;
  return { writer, copy: randomBytes(6).toString("hex") };
}

async function writerOf(calls: MongoCalls): Promise<WriterDoc | undefined> {
  const [found] = await calls.find("meta", { _id: "writer" });
  return found as unknown as WriterDoc | undefined;
}

async function makeCollection(calls: MongoCalls, name: CollectionName): Promise<void> {
  try {
    await calls.createCollection(name);
  } catch (error) {
    if (!isExistingCollection(error)) throw error;
  }
  for (const { key, ...options } of collections[name] as readonly { readonly key: Record<string, 1 | -1> }[])
    await calls.createIndex(name, key, options);
}

async function makeWriter(calls: MongoCalls, at: number): Promise<void> {
  const writer: WriterDoc = {
    _id: "writer",
    form: formVersion,
    epoch: uuidV7(at),
    revision: 0,
    number: 0,
    at: new Date(at),
    turn: 0,
    hosts_revision: 0,
    purged_up_to: 0,
    leases: [],
    new_epoch: "",
    copies: {},
  };
  try {
    await calls.insertOne("meta", { ...writer });
  } catch (error) {
    if (!isDuplicateKey(error)) throw error; // another copy was first
  }
}
