import { AuthServiceService } from "@berth/contracts/auth";
import {
  bindService,
  createLogger,
  requireInternal,
  runService,
  serveGrpc,
  serveMetrics,
  startTelemetry,
} from "@berth/runtime";
import { authService } from "./adapters/grpc/auth-service.ts";
import { edDsaSigner } from "./adapters/jwt/token-signer.ts";
import { apiKeys } from "./adapters/local/api-keys.ts";
import { createUser } from "./adapters/local/create-user.ts";
import { localProvider } from "./adapters/local/local-provider.ts";
import { argonPasswords } from "./adapters/local/passwords.ts";
import { volumesFile } from "./adapters/local/volumes-file.ts";
import { readAuthConfig } from "./config.ts";
import { openAccounts } from "./open-accounts.ts";

await runService({
  name: "auth",
  async start({ closing }) {
    const config = readAuthConfig(process.env);
    const logger = createLogger({ service: "auth", level: config.logLevel });
    await startTelemetry({ service: "auth", otlpUrl: config.otlpUrl, closing });

    const { accounts, tokenKey } = await openAccounts(config, closing);
    const now = () => new Date();
    const passwords = argonPasswords();
    const keys = apiKeys(accounts, now);
    const siteVolumes = volumesFile(config.volumesFile, (error) =>
      logger.error("the volumes file is not valid; the last good list stays in force", { error }),
    );
    const provider = localProvider({ accounts, passwords, keys, siteVolumes });
    const signer = await edDsaSigner(tokenKey, now);

    const implementation = authService({
      provider,
      signer,
      keys,
      accounts,
      createUser: (wish, password) => createUser({ accounts, passwords, now }, wish, password),
    });
    const server = await serveGrpc({
      address: config.listen,
      services: [bindService(AuthServiceService, implementation)],
      admit: requireInternal(config.clusterSecret),
      logger,
      closing,
    });
    if (config.metricsAddress === undefined) return { addresses: { grpc: server.address } };
    const metrics = await serveMetrics({
      address: config.metricsAddress,
      closing,
      logger,
      healthy: () => server.serving,
    });
    return { addresses: { grpc: server.address, metrics } };
  },
});
