import { once } from "node:events";
import { AuthServiceService } from "@berth/contracts/auth";
import { lateService, openLate, problemService, runGrpcService } from "@berth/runtime";
import type { ServiceImplementation } from "@berth/runtime";
import { loadAuth } from "@berth/plugins";
import { hostCalls } from "./adapters/grpc/host-calls.ts";
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
import { openHosts } from "./open-hosts.ts";
import { openAccounts } from "./open-accounts.ts";

await runGrpcService("auth", readAuthConfig, async ({ config, logger, trust, problems, closing, signal, nowReady }) => {
  let service: ServiceImplementation<AuthServiceService> | undefined;
  const { running } = await openLate({
    open: () => openAccounts(config, closing),
    async opened({ accounts, hostKeys, tokenKey }) {
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
        // Loaded only if it is used.
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
      const own = authService({
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
      service = { ...own, ...hostCalls(await openHosts(config, hostKeys, { trust, closing, logger })) };
      nowReady();
      await once(signal, "abort");
    },
    logger,
    problems,
    signal,
  });
  return {
    services: [lateService(AuthServiceService, () => service), problemService(problems)],
    notReadyYet: true,
    run: () => running,
  };
});
