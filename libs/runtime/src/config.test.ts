import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { flag, readConfig, serviceKeys } from "./config.ts";

const shape = {
  ...serviceKeys,
  grpcAddress: z.string().default("127.0.0.1:0"),
  leaseMs: z.coerce.number().int().positive(),
  clusterSecret: z.string().min(8),
  embedded: flag().default(false),
  labels: z.record(z.string(), z.string()).default({}),
};

describe("readConfig", () => {
  let dir: string;
  const write = (name: string, content: string): string => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "berth-config-"))));
  afterEach(() => rmSync(dir, { recursive: true }));

  it("takes the environment over the file, the file over the default", () => {
    const file = write("c.json", JSON.stringify({ grpcAddress: "a:1", leaseMs: 5, clusterSecret: "file-secret" }));
    const config = readConfig(shape, {
      env: { BERTH_CONFIG: file, BERTH_LEASE_MS: "7", BERTH_EMBEDDED: "true", BERTH_LABELS: '{"gpu":"yes"}' },
    });
    expect(config).toEqual({
      logLevel: "info",
      logFormat: "auto",
      grpcAddress: "a:1",
      leaseMs: 7,
      clusterSecret: "file-secret",
      embedded: true,
      labels: { gpu: "yes" },
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("reads a secret from the file that is named for it", () => {
    const secret = write("secret", "from a file\n");
    expect(readConfig(shape, { env: { BERTH_LEASE_MS: "1", BERTH_CLUSTER_SECRET_FILE: secret } }).clusterSecret).toBe(
      "from a file",
    );
    const file = write("c.json", JSON.stringify({ leaseMs: 1, clusterSecretFile: secret }));
    expect(readConfig(shape, { env: {}, file }).clusterSecret).toBe("from a file");
  });

  it("names all faults at once, each by where it was written", () => {
    const file = write("c.json", JSON.stringify({ leaseMs: -1, colour: "red" }));
    const read = () => readConfig(shape, { env: { BERTH_LOG_LEVEL: "loud", BERTH_LABELS: "{" }, file });
    expect(read).toThrow(expect.objectContaining({ code: "invalid", reason: "CONFIG_INVALID" }));
    for (const fault of [
      `${file}: colour: unknown`,
      `${file}: leaseMs`,
      "BERTH_LOG_LEVEL",
      "BERTH_LABELS: is not JSON",
    ]) {
      expect(read).toThrow(fault);
    }
    expect(read).toThrow("BERTH_CLUSTER_SECRET: is missing");
  });

  it("refuses a file of secrets that others may read, and says what mends it", () => {
    const secret = write("secret", "from a file\n");
    const file = write("c.json", JSON.stringify({ leaseMs: 1, clusterSecret: "in the file" }));
    const plain = write("plain.json", JSON.stringify({ leaseMs: 1 }));
    for (const path of [secret, file, plain]) chmodSync(path, 0o644);
    const named = () => readConfig(shape, { env: { BERTH_LEASE_MS: "1", BERTH_CLUSTER_SECRET_FILE: secret } });
    expect(named).toThrow(`BERTH_CLUSTER_SECRET_FILE: ${secret} holds secrets and has mode 644`);
    expect(named).toThrow(`chmod 600 ${secret}`);
    expect(() => readConfig(shape, { env: {}, file })).toThrow(`chmod 600 ${file}`);
    expect(readConfig(shape, { env: { BERTH_CLUSTER_SECRET: "by itself" }, file: plain }).leaseMs).toBe(1);
  });

  it("says which file cannot be read", () => {
    expect(() => readConfig({}, { env: { BERTH_CONFIG: "/nowhere.json" } })).toThrow("/nowhere.json: cannot be read");
    expect(() => readConfig({}, { env: {}, file: write("c.json", "[]") })).toThrow("is not a JSON object");
  });
});
