import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuthServiceService } from "@berth/contracts/auth";
import { HealthServiceService } from "@berth/contracts/health";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { Closing, grpcChannel, grpcClient, internalAuthorization } from "@berth/runtime";
import { startOwnMongo, until } from "@berth/test-support";
import { expect, it } from "vitest";

const secret = "a-secret-of-this-test-only";

/** A process of one service, which comes up while its database is away. */
it("storage and auth wait for a MongoDB that is away at their start", { timeout: 120_000 }, async () => {
  const mongo = await startOwnMongo();
  await mongo.kill();
  const dir = mkdtempSync(join(tmpdir(), "berth-away-"));
  const closing = new Closing();
  const started: ChildProcess[] = [];
  try {
    const up = (name: "storage" | "auth") => {
      const child = spawn(process.execPath, [join(import.meta.dirname, `../../../services/${name}/src/main.ts`)], {
        env: {
          PATH: process.env["PATH"],
          BERTH_DATA_DIR: join(dir, name),
          BERTH_LISTEN: `unix:${join(dir, name)}.sock`,
          BERTH_CLUSTER_SECRET: secret,
          BERTH_READY_FILE: join(dir, `${name}.ready`),
          BERTH_DATABASE: mongo.urlOf("away"),
        },
        stdio: "inherit",
      });
      started.push(child);
      const channel = grpcChannel(`unix:${join(dir, name)}.sock`, { closing });
      return { channel, extras: { service: name, authorization: internalAuthorization(secret) } };
    };
    const [storage, auth] = [up("storage"), up("auth")];
    const tasks = grpcClient(TaskStoreServiceService, storage.channel, storage.extras);
    const users = grpcClient(AuthServiceService, auth.channel, auth.extras);
    for (const name of ["storage", "auth"])
      await until(() => existsSync(join(dir, `${name}.ready`)), `${name} to serve`, 30_000);
    await expect(tasks.countTasks({ user: "" })).rejects.toMatchObject({ code: "unavailable", reason: "NOT_READY" });
    await expect(users.getKeySet({})).rejects.toMatchObject({ code: "unavailable", reason: "NOT_READY" });
    for (const { channel, extras } of [storage, auth]) {
      const { problems } = await grpcClient(HealthServiceService, channel, extras).listProblems({});
      expect(problems.map(({ code }) => code)).toEqual(["DATABASE_UNAVAILABLE"]);
    }
    await mongo.start();
    const answers = (call: () => Promise<unknown>) => () =>
      call().then(
        () => true,
        () => false,
      );
    await until(
      answers(() => tasks.countTasks({ user: "" })),
      "storage to answer",
      30_000,
    );
    await until(
      answers(() => users.getKeySet({})),
      "auth to answer",
      30_000,
    );
    for (const { channel, extras } of [storage, auth])
      expect((await grpcClient(HealthServiceService, channel, extras).listProblems({})).problems).toEqual([]);
    for (const child of started) {
      child.kill("SIGTERM");
      const [code] = (await once(child, "exit")) as [number];
      expect(code).toBe(0);
    }
  } finally {
    for (const child of started) child.kill("SIGKILL");
    await closing.close();
    await mongo.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

it(
  "storage and auth end with a word for the operator where MongoDB refuses their password",
  { timeout: 120_000 },
  async () => {
    const mongo = await startOwnMongo();
    const dir = mkdtempSync(join(tmpdir(), "berth-refused-"));
    const started: ChildProcess[] = [];
    const up = (name: "storage" | "auth", database: string) => {
      const child = spawn(process.execPath, [join(import.meta.dirname, `../../../services/${name}/src/main.ts`)], {
        env: {
          PATH: process.env["PATH"],
          BERTH_DATA_DIR: join(dir, name),
          BERTH_LISTEN: `unix:${join(dir, name)}.sock`,
          BERTH_CLUSTER_SECRET: secret,
          BERTH_READY_FILE: join(dir, `${name}.ready`),
          BERTH_DATABASE: database,
        },
        stdio: ["ignore", "pipe", "pipe"],
      });
      started.push(child);
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => (said += text));
      const ended = once(child, "close").then(([code]) => code as number);
      return { ended, said: () => said };
    };
    const wrong = mongo.urlOf("refused").replace("mongodb://", "mongodb://berth:not-the-password@");
    try {
      for (const name of ["storage", "auth"] as const) {
        const { ended, said } = up(name, wrong);
        expect(await ended, said()).toBe(78);
        expect(said()).toContain("DATABASE_REFUSED");
        expect(said()).not.toContain("not-the-password");
        const badUrl = up(name, "mongodb:/127.0.0.1/berth");
        expect([await badUrl.ended, badUrl.said()]).toEqual([2, expect.stringMatching(/DATABASE_URL|CONFIG_INVALID/)]);
      }
      // Also where it was away at first.
      await mongo.kill();
      const late = up("storage", wrong);
      await until(() => existsSync(join(dir, "storage.ready")), "storage to serve", 30_000);
      await until(() => late.said().includes("ECONNREFUSED"), "the reason in its log", 30_000);
      await mongo.start();
      expect(await late.ended).toBe(78);
    } finally {
      for (const child of started) child.kill("SIGKILL");
      await mongo.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
