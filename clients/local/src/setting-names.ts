/** Variables that services read; `test/repo` compares this list with their configuration. */
const ofServices = [
  "AUTH",
  "AUTHORITY_DIR",
  "AUTH_PROVIDER",
  "AUTH_PROVIDER_CONFIG",
  "CAPACITY_CPU",
  "CAPACITY_MEMORY",
  "CLUSTER_ID",
  "CLUSTER_SECRET",
  "DATABASE",
  "DATA_DIR",
  "DEFAULT_IMAGE",
  "DRIVER",
  "DRIVER_CONFIG",
  "ENGINE",
  "FILES_DIR",
  "FIRST_ADMIN",
  "FOLD_AFTER_MS",
  "MAX_CONNECTIONS_PER_ADDRESS",
  "MAX_FILE_BYTES",
  "GATEWAY",
  "GRACE_MS",
  "HOST_CERTIFICATE_MS",
  "HOST_ID",
  "HOST_LEASE_MS",
  "IDENTITY_DIR",
  "LEASE_TTL_MS",
  "LISTEN",
  "LOG_FORMAT",
  "LOG_LEVEL",
  "LOSS_MARGIN_MS",
  "MAX_PLACEMENTS",
  "MAX_STREAMS",
  "METRICS_ADDRESS",
  "NATS_INBOX",
  "NATS_PASSWORD",
  "NATS_URL",
  "NATS_USER",
  "NEW_EPOCH",
  "OTLP_URL",
  "RANKING",
  "RANKING_CONFIG",
  "REQUIRED_FEATURES",
  "RESOLVE_TTL_MS",
  "RETENTION_DAYS",
  "RETENTION_RECORDS_DAYS",
  "RUN_DIR",
  "SCHEDULER",
  "SIM_HOSTS",
  "SIM_MS",
  "STORAGE",
  "TIME_LIMIT_MS",
  "VOLUMES_FILE",
  "WATCHER",
].map((name) => `BERTH_${name}`);

/** Variables that every process or the command line reads. */
const others = ["BERTH_CONFIG", "BERTH_DATA", "BERTH_HEARTBEAT_FILE", "BERTH_KEY", "BERTH_READY_FILE", "BERTH_SERVER"];

/** The settings of services, without their `_FILE` forms. */
export const serviceSettings: ReadonlySet<string> = new Set(ofServices);

const known: ReadonlySet<string> = new Set([...ofServices, ...ofServices.map((name) => `${name}_FILE`), ...others]);

/** Whether a variable has Berth's prefix and no meaning. */
export const isUnknownSetting = (name: string): boolean => name.startsWith("BERTH_") && !known.has(name);

/** The setting that was probably meant: the only nearest one, at most two letters away. */
export function nearestSetting(name: string): string | undefined {
  const letters = [...known].map((candidate) => ({ candidate, letters: editDistance(name, candidate) }));
  const least = Math.min(...letters.map((each) => each.letters));
  const near = letters.filter((each) => each.letters === least);
  return least <= 2 && near.length === 1 ? near[0]!.candidate : undefined;
}

/** Message about an unknown name. */
export function unknownSetting(name: string): string {
  const near = nearestSetting(name);
  return `${name} is no setting${near === undefined ? "" : `; did you mean ${near}?`}`;
}

/** Of the environment: names that were probably meant to be a setting. Only a warning, because other programs may have variables of that kind. */
export const doubtfulVariables = (env: NodeJS.ProcessEnv): string[] =>
  Object.keys(env)
    .filter(isUnknownSetting)
    .map(unknownSetting)
    .filter((words) => words.includes("did you mean"))
    .map((words) => `the environment: ${words}`);

/** Letters to add, drop or change. */
function editDistance(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let row = 1; row <= from.length; row++) {
    const line = [row];
    for (let column = 1; column <= to.length; column++) {
      const change = above[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      line.push(Math.min(change, above[column]! + 1, line[column - 1]! + 1));
    }
    above = line;
  }
  return above[to.length]!;
}
