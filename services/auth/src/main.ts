import { once } from "node:events";
import { AuthServiceService } from "@berth/contracts/auth";
import {
  createLogger,
  lateService,
  openLate,
  problemService,
  Problems,
  openTrust,
  runService,
  serveGrpc,
  serveMetrics,
  startTelemetry,
} from "@berth/runtime";
import type { GrpcServer } from "@berth/runtime";
import { loadAuth } from "@berth/plugins";
import { authService } from "./adapters/grpc/auth-service.ts";
import { takeRescueFile } from "./adapters/disk/rescue-file.ts";
import { edDsaSigner } from "./adapters/jwt/token-signer.ts";
import { apiKeys } from "./adapters/local/api-keys.ts";
import { createUser } from "./adapters/local/create-user.ts";
import { addFirstAdmin } from "./adapters/local/first-admin.ts";
import { localProvider } from "./adapters/local/local-provider.ts";
import { argonPasswords } from "./adapters/local/passwords.ts";
import { volumesFile } from "./adapters/local/volumes-file.ts";
import { readAuthConfig } from "./config.ts";
import { LoginGuard } from "./domain/login-guard.ts";
import { openAccounts } from "./open-accounts.ts";

await runService({
  name: "auth",
  async start({ closing, signal }) {
    const config = readAuthConfig(process.env);
    const logger = createLogger({ service: "auth", level: config.logLevel });
    await startTelemetry({ service: "auth", otlpUrl: config.otlpUrl, closing });

    const trust = openTrust(config, { role: "auth", closing, logger });
    const problems = new Problems();
    /** What there is of them: the database may come first, or the server. */
    const late: { service?: ReturnType<typeof authService>; server?: GrpcServer } = {};
    const { running } = await openLate({
      open: () => openAccounts(config, closing),
      async opened({ accounts, tokenKey }) {
        const now = () => new Date();
        if (config.firstAdmin !== undefined) await addFirstAdmin(config.firstAdmin, accounts, logger, now());
        const passwords = argonPasswords();
        const keys = apiKeys(accounts, now);
        const siteVolumes = volumesFile(config.volumesFile, (error) =>
          logger.error("the volumes file is not valid; the last good list stays in force", { error }),
        );
        const local = () => localProvider({ accounts, passwords, keys, siteVolumes });
        const ownerOfKey = async (key: string) => (await keys.find(key))?.user;
        const context = { config: config.authProviderConfig, logger, ownerOfKey };
        const ldap = async () => {
          // Loaded only where it is used.
          const { openLdap } = await import("./adapters/ldap/open-ldap.ts");
          return openLdap({ ...context, siteVolumes, closing });
        };
        const system = async () => {
          const { systemProvider } = await import("./adapters/system/system-provider.ts");
          const { thisMachine, whyNoPasswords } = await import("./adapters/system/machine.ts");
          const why = whyNoPasswords();
          if (why !== undefined) logger.warn("users of this machine log in with keys alone", { why });
          return systemProvider({ ...context, siteVolumes, machine: thisMachine(), now: () => performance.now() });
        };
        const provider = await loadAuth(config.authProvider, { local, ldap, system }, context);
        const signer = await edDsaSigner(tokenKey, now);
        late.service = authService({
          provider,
          signer,
          keys,
          accounts,
          guard: new LoginGuard(),
          logger,
          now,
          provesDataAccess: (name) => takeRescueFile(config.dataDir, name),
          createUser: (wish, password) => createUser({ accounts, passwords, now }, wish, password),
        });
        late.server?.setServing(true);
        await once(signal, "abort");
      },
      logger,
      problems,
      signal,
    });
    const server = await serveGrpc({
      address: config.listen,
      services: [lateService(AuthServiceService, () => late.service), problemService(problems)],
      ...trust.door,
      logger,
      closing,
      notReadyYet: true,
    });
    late.server = server;
    if (late.service) server.setServing(true);
    if (config.metricsAddress === undefined) return { addresses: { grpc: server.address }, running };
    const metrics = await serveMetrics({
      address: config.metricsAddress,
      closing,
      logger,
      healthy: () => server.serving,
    });
    return { addresses: { grpc: server.address, metrics }, running };
  },
});
