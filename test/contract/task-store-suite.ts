import { describe } from "vitest";
import { arrayTests } from "./task-store-arrays.ts";
import { damageTests } from "./task-store-damage.ts";
import { feedTests } from "./task-store-feed.ts";
import type { MakeDatabase } from "./task-store-harness.ts";
import { hostNameTests } from "./task-store-host-names.ts";
import { lostTests } from "./task-store-lost.ts";
import { foldTests } from "./task-store-fold.ts";
import { modelTests } from "./task-store-model.ts";
import { planTests } from "./task-store-plans.ts";
import { readTests } from "./task-store-reads.ts";
import { reportTests } from "./task-store-reports.ts";
import { retentionTests } from "./task-store-retention.ts";
import { submitTests } from "./task-store-submits.ts";
import { unableTests } from "./task-store-unable.ts";
import { updateTests } from "./task-store-updates.ts";

/** The contract of the TaskStore port. An adapter joins by one call with a maker of empty databases; it changes nothing here. */
export function describeTaskStore(name: string, make: MakeDatabase, modelRuns = 150): void {
  describe(`TaskStore on ${name}`, () => {
    describe("submit", () => submitTests(make));
    describe("plans and leases", () => planTests(make));
    describe("reports and requests", () => reportTests(make));
    describe("what no host can start", () => unableTests(make));
    describe("arrays", () => arrayTests(make));
    describe("lost hosts", () => lostTests(make));
    describe("host names", () => hostNameTests(make));
    describe("updates", () => updateTests(make));
    describe("folding", () => foldTests(make));
    describe("retention", () => retentionTests(make));
    describe("change feed and hosts", () => feedTests(make));
    describe("damaged records", () => damageTests(make));
    describe("reading", () => readTests(make));
    describe("any sequence of events", () => modelTests(make, modelRuns));
  });
}
