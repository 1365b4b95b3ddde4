import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials, experimental } from "@grpc/grpc-js";
import { createAuthority, createRequest, openAuthority, requestKeyHash } from "@berth/identity";
import type { CertificateAuthority } from "@berth/identity";
import type { AppError } from "@berth/core";
import { serviceDnsName } from "@berth/contracts";
import type { Identity, ServiceRole } from "@berth/contracts";
import { AuthServiceService } from "@berth/contracts/auth";
import { AppendLogRequest, FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Metadata } from "nice-grpc-common";
import { Closing } from "./closing.ts";
import { callerKey } from "./grpc-admission.ts";
import { grpcChannel, grpcClient } from "./grpc-client.ts";
import { bindService, serveGrpc } from "./grpc-server.ts";
import type { GrpcServerOptions } from "./grpc-server.ts";
import { openIdentity } from "./identity-files.ts";
import { silentLogger } from "./logger.ts";
import { openTrust } from "./trust.ts";
import type { Trust } from "./trust.ts";

const now = new Date();
const cluster = "lab";
let dir: string;
let authority: CertificateAuthority;

/** An identity's directory, whole or not at all. */
function write(name: string, pem: string, ca = authority.certificatePem): string {
  const path = join(dir, name);
  rmSync(path, { recursive: true, force: true });
  const part = mkdtempSync(join(dir, "part-"));
  writeFileSync(join(part, "identity.pem"), pem, { mode: 0o600 });
  writeFileSync(join(part, "ca.pem"), ca);
  renameSync(part, path);
  return path;
}

async function agentPem(
  host: string,
  by = authority,
  of = cluster,
  lifeMs?: number,
): Promise<{ pem: string; keyHash: string }> {
  const { keyPem, csrPem } = await createRequest();
  const { certificatePem } = await by.issueHost(
    csrPem,
    { cluster: of, role: "agent", host },
    { now, ...(lifeMs ? { lifeMs } : {}) },
  );
  return { pem: keyPem + certificatePem, keyHash: await requestKeyHash(csrPem) };
}

const servicePem = async (role: ServiceRole, by = authority, of = cluster, lifeMs?: number): Promise<string> =>
  (await by.issueService({ cluster: of, role }, { now, ...(lifeMs ? { lifeMs } : {}) })).pem;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "berth-trust-"));
  authority = await openAuthority(await createAuthority(cluster, now));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe("trust by certificates", () => {
  let closing = new Closing();
  afterEach(async () => {
    await closing.close();
    closing = new Closing();
  });

  const trustOf = (path: string, role: Identity["role"]): Trust =>
    openTrust({ identityDir: path }, { role, closing, logger: silentLogger });

  const revoked = new Set<string>();
  const callers: unknown[] = [];
  /** A server that says who called. */
  async function serve(
    role: ServiceRole = "storage",
    doorOf: (trust: Trust) => Pick<GrpcServerOptions, "admit" | "credentials" | "limits"> = ({ door }) => door,
  ): Promise<string> {
    const trust = trustOf(write(role, await servicePem(role)), role);
    trust.refuseRevoked((keyHash) => revoked.has(keyHash));
    const answering = (service: object) =>
      Object.fromEntries(
        Object.keys(service).map((name) => [
          name,
          async (_: unknown, { metadata }: { metadata: { get(key: string): unknown } }) => {
            callers.push(metadata.get(callerKey));
            return { sizeBytes: 1, hosts: [], replies: [] };
          },
        ]),
      );
    const { address } = await serveGrpc({
      address: "127.0.0.1:0",
      services: [TaskStoreServiceService, FileStoreServiceService, AuthServiceService].map((service) =>
        bindService(service, answering(service) as never),
      ),
      ...doorOf(trust),
      logger: silentLogger,
      closing,
    });
    return address;
  }
  const call = async (address: string, tls: Partial<ReturnType<Trust["to"]>>, extra: Record<string, string> = {}) => {
    const channel = grpcChannel(address, { closing, ...tls });
    const options = { service: "storage", deadlineMs: 2_000 };
    const files = grpcClient(FileStoreServiceService, channel, options);
    const tasks = grpcClient(TaskStoreServiceService, channel, options);
    const reason = (promise: Promise<unknown>) =>
      promise.then(
        () => "answered",
        (error: { reason: string }) => error.reason,
      );
    const metadata = Metadata(extra);
    return {
      append: await reason(files.appendLog(AppendLogRequest.fromPartial({}), { metadata })),
      hosts: await reason(tasks.listHosts({}, { metadata })),
      report: await reason(tasks.applyReports({ reports: [] }, { metadata })),
    };
  };
  const nothing = { append: "PEER_UNAVAILABLE", hosts: "PEER_UNAVAILABLE", report: "PEER_UNAVAILABLE" };

  it("lets each identity call what its work needs, and nothing else", async () => {
    const address = await serve();
    const denied = "NOT_FOR_THIS_IDENTITY";
    const gateway = trustOf(write("gateway", await servicePem("gateway")), "gateway");
    expect(await call(address, gateway.to("storage"))).toEqual({ append: denied, hosts: "answered", report: denied });
    const watcher = trustOf(write("watcher", await servicePem("watcher")), "watcher");
    expect(await call(address, watcher.to("storage"))).toEqual({ append: denied, hosts: denied, report: "answered" });
    const agent = trustOf(write("agent", (await agentPem("Node_1")).pem), "agent");
    expect(await call(address, agent.to("storage"))).toEqual({ append: "answered", hosts: denied, report: denied });
  });

  it("refuses plain text, no certificate, another cluster's, another authority's, and one that is revoked", async () => {
    const address = await serve();
    expect(await call(address, {}, { authorization: "Berth whatever-this-is-123" })).toEqual(nothing);
    const another = await openAuthority(await createAuthority(cluster, now));
    const foreign = trustOf(write("foreign", (await agentPem("a", another)).pem, another.certificatePem), "agent");
    expect(await call(address, foreign.to("storage"))).toEqual(nothing);
    // It trusts our authority, but ours has not signed it.
    const stranger = await agentPem("b", another);
    writeFileSync(join(dir, "foreign", "ca.pem"), authority.certificatePem);
    expect(() => trustOf(write("stranger", stranger.pem), "agent")).toThrow("ca.pem has not signed");
    // And it does not look at its own files first, as a process of ours does.
    const pem = Buffer.from(stranger.pem);
    const ours = Buffer.from(authority.certificatePem);
    const serverName = serviceDnsName("storage");
    expect(await call(address, { credentials: credentials.createSsl(ours, pem, pem), serverName })).toEqual(nothing);
    expect(await call(address, { credentials: credentials.createSsl(ours), serverName })).toEqual(nothing);
    const elsewhere = trustOf(write("elsewhere", (await agentPem("a", authority, "other")).pem), "agent");
    expect((await call(address, elsewhere.to("storage"))).append).toBe("NO_CERTIFICATE");
    const { pem: gonePem, keyHash } = await agentPem("gone");
    const gone = trustOf(write("gone", gonePem), "agent").to("storage");
    expect((await call(address, gone)).append).toBe("answered");
    revoked.add(keyHash);
    expect((await call(address, gone)).append).toBe("CERTIFICATE_REVOKED");
  });

  it("does not take an agent, nor another service, for the service that it calls", async () => {
    const agent = trustOf(write("agent", (await agentPem("Node_1")).pem), "agent");
    const scheduler = await serve("scheduler");
    expect(await call(scheduler, agent.to("storage"))).toEqual(nothing);
  });

  it("tells handlers who calls, whatever the caller says", async () => {
    const address = await serve();
    callers.length = 0;
    const agent = trustOf(write("agent", (await agentPem("Node_1")).pem), "agent");
    const watcher = trustOf(write("watcher", await servicePem("watcher")), "watcher");
    await call(address, agent.to("storage"), { [callerKey]: "agent/other" });
    await call(address, watcher.to("storage"), { [callerKey]: "gateway" });
    expect(callers).toEqual(["agent/Node_1", "watcher"]);
  });

  it("uses a renewed certificate without a restart, and keeps the last good one where the new file is damaged", async () => {
    const path = write("storage", await servicePem("storage"));
    const files = openIdentity(path, { closing, logger: silentLogger, everyMs: 10 });
    const before = files.notAfter.getTime();
    const put = (pem: string) => {
      writeFileSync(join(path, "new"), pem, { mode: 0o600 });
      renameSync(join(path, "new"), join(path, "identity.pem"));
    };
    put("-----BEGIN nothing");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(files.notAfter.getTime()).toBe(before);
    put(await servicePem("gateway"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(files.identity.role).toBe("storage");
    put(await servicePem("storage", authority, cluster, 2 * 86_400_000));
    await expect.poll(() => files.notAfter.getTime()).toBeLessThan(before);
  });

  it("shows itself to people, who have no certificate, and speaks no plain text with them either", async () => {
    const address = await serve("gateway", ({ publicDoor }) => ({ admit: () => ({ user: "ada" }), ...publicDoor }));
    const tls = {
      credentials: credentials.createSsl(Buffer.from(authority.certificatePem)),
      serverName: serviceDnsName("gateway"),
    };
    expect((await call(address, tls)).hosts).toBe("answered");
    expect(await call(address, {})).toEqual(nothing);
  });

  it("ends a connection whose certificate has ended, and its client comes again with the renewed one", async () => {
    const address = await serve();
    const { pem } = await agentPem("brief", authority, cluster, 60_000);
    const path = write("brief", pem);
    const files = openIdentity(path, { closing, logger: silentLogger, everyMs: 10 });
    const tls = experimental.createCertificateProviderChannelCredentials(files, files);
    const channel = grpcChannel(address, { closing, credentials: tls, serverName: serviceDnsName("storage") });
    const client = grpcClient(FileStoreServiceService, channel, { service: "storage", deadlineMs: 2_000 });
    const append = () =>
      client.appendLog(AppendLogRequest.fromPartial({})).then(
        () => "answered",
        (error: AppError) => `${error.reason}: ${error.message}`,
      );
    expect(await append()).toBe("answered");
    vi.useFakeTimers({ toFake: ["Date"], now: files.notAfter.getTime() - 1_000 });
    try {
      expect(await append()).toBe("answered");
      vi.setSystemTime(files.notAfter.getTime() + 1);
      expect(await append()).toBe("NO_CERTIFICATE: the certificate of agent/brief on this connection has expired");
      writeFileSync(join(path, "new"), (await agentPem("brief")).pem, { mode: 0o600 });
      renameSync(join(path, "new"), join(path, "identity.pem"));
      await expect.poll(append).toBe("answered");
    } finally {
      vi.useRealTimers();
    }
  });

  it("refuses a file that others may read, and an identity of another role", async () => {
    const path = write("open", await servicePem("storage"));
    chmodSync(join(path, "identity.pem"), 0o644);
    expect(() => trustOf(path, "storage")).toThrow("others may read it");
    const role = write("role", await servicePem("watcher"));
    expect(() => trustOf(role, "storage")).toThrow("is of watcher, and this is storage");
  });
});
