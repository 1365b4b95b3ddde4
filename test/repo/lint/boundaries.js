/**
 * Who may import what. The first row whose `files` match a file decides; `may` lists what it may import, as patterns;
 * `types` what it may import with `import type` only: a ranking policy is domain, and its contract is in plugins.
 */
const inside = "^\\.{1,2}/(?!.*/src/)"; // its own package: a path through another `src` leaves it
const node = "^node:(?!sqlite)";
const vendors = "dockerode|mongodb|@nats-io/|@grpc/|nice-grpc|node:sqlite";
const others = `^(?!@berth/|\\.|${vendors})`; // npm and Node, without the vendors that have a folder of their own
/** Contracts and the local cluster have several doors, one per subject. */
const berth = (...names) => `^@berth/(${names.join("|").replace(/contracts|local/g, "$&(/[a-z-]+)?")})$`;
const libs = berth("core", "contracts", "plugins", "runtime", "nats", "database", "identity");
const layers = (...names) => `^\\.{1,2}/(?!(.*/)?(${names.join("|")})(/|\\.ts$))`;
const adapters = layers("main", "src");

const compiled = (patterns) => patterns.map((pattern) => new RegExp(pattern));

export const boundaries = [
  // Tests may start anything, through the doors of packages.
  {
    files: /(\.test\.ts$|^test\/)/,
    may: ["^[^.]", "^\\.{1,2}/(?!.*/src/)"],
    else: "tests use a package's door, not its inside",
  },
  { files: /^libs\/core\//, may: [inside], else: "core depends on nothing" },
  {
    files: /^libs\/contracts\//,
    may: [inside, berth("core"), others, "^(@grpc/|nice-grpc)"],
    else: "contracts use core and their own gen",
  },
  {
    files: /^libs\/runtime\//,
    may: [inside, berth("core", "contracts"), others, "^(@grpc/|nice-grpc)"],
    else: "runtime uses core and contracts; it knows no bus, database or engine",
  },
  {
    files: /^libs\/nats\//,
    may: [inside, berth("core", "contracts", "runtime"), others, "^@nats-io/"],
    else: "nats uses core, contracts and runtime",
  },
  {
    files: /^libs\/database\//,
    may: [inside, berth("core", "contracts", "runtime"), others, "^(node:sqlite|mongodb)"],
    else: "database uses core, contracts and runtime",
  },
  {
    files: /^libs\/identity\//,
    may: [inside, berth("core", "contracts"), others, "^@nats-io/(jwt|nkeys)$"],
    else: "identity uses core and contracts: it makes certificates and accounts, and connects to nothing",
  },
  {
    files: /^libs\/plugins\//,
    may: [inside, berth("core", "contracts", "runtime"), others],
    else: "plugins uses core, contracts and runtime",
  },
  {
    files: /^clients\/sdk\//,
    may: [inside, berth("core", "contracts"), others, "^(@grpc/|nice-grpc)"],
    else: "a client uses core, contracts and the SDK: the rest is behind the gateway",
  },
  // What brings a cluster up talks to its services before there is a user for the gateway.
  {
    files: /^clients\/local\//,
    may: [inside, berth("core", "contracts", "sdk", "identity"), others, "^(@grpc/|nice-grpc)"],
    else: "bringing up a cluster uses core, contracts, the SDK, identities and gRPC",
  },
  {
    files: /^clients\//,
    may: [inside, berth("core", "contracts", "sdk", "local"), others],
    else: "a client uses core, contracts, the SDK and the local cluster: the rest is behind the gateway",
  },
  {
    files: /^services\/[^/]+\/src\/domain\//,
    may: [berth("core"), layers("ports", "app", "adapters", "main", "config", "src")],
    types: [berth("plugins")],
    else: "domain uses @berth/core and itself: no npm, no Node, no generated types, no other layer",
  },
  {
    files: /^services\/[^/]+\/src\/decisions\//,
    may: [berth("core", "contracts"), layers("app", "adapters", "main", "config", "src"), "^node:crypto$"],
    else: "a decision uses @berth/core, contracts, domain and ports: no npm, no Node but hashes, no database",
  },
  {
    files: /^services\/[^/]+\/src\/ports\//,
    may: [berth("core", "contracts"), layers("app", "adapters", "main", "config", "src")],
    types: [berth("plugins")],
    else: "a port speaks in words of the domain, or of a contract where a codec would only copy",
  },
  {
    files: /^services\/[^/]+\/src\/app\//,
    may: [
      berth("core", "contracts", "runtime", "plugins"),
      layers("adapters", "main", "config", "src"),
      "^node:(crypto|path)$",
    ],
    else: "app takes what it needs of the world as a port: no npm, no Node but its pure parts, no bus, no database, no adapter",
  },
  {
    files: /^services\/[^/]+\/src\/adapters\/docker\//,
    may: [adapters, libs, others, "^dockerode"],
    else: "the docker adapter knows docker, and no other service",
  },
  {
    files: /^services\/[^/]+\/src\/adapters\/grpc\//,
    may: [adapters, libs, others, "^(@grpc/|nice-grpc)"],
    else: "the gRPC adapter knows gRPC, and no other service",
  },
  {
    files: /^services\/[^/]+\/src\/adapters\/mongo\//,
    may: [adapters, libs, others, "^mongodb"],
    else: "the mongo adapter knows MongoDB, and no other service",
  },
  {
    files: /^services\/[^/]+\/src\/adapters\//,
    may: [adapters, libs, others],
    else: "a vendor is imported in its own adapter folder; a service never imports a service",
  },
  {
    files: /^services\//,
    may: [inside, libs, others, node],
    else: "a service never imports a service: they meet in proto and on the bus",
  },
].map(({ types = [], ...row }) => ({ ...row, may: compiled(row.may), types: compiled(types) }));
