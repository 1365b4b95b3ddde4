import { hostname } from "node:os";
import { splitAddresses } from "@berth/contracts/channel";
import { connectBerth } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { fetchAuthority } from "@berth/sdk";
import { keepConnection, keptLogin, readAuthority } from "../connection.ts";
import type { Caller, Connection } from "../connection.ts";
import { usageError } from "../exit.ts";
import { note, printJson } from "../output/print.ts";
import { readLine, readSecretLine } from "../secret-input.ts";

interface Options {
  user?: string;
  passwordStdin?: boolean;
  keyStdin?: boolean;
  ca?: string;
  caFingerprint?: string;
  json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("login")
    .description(
      "Logs in to a server with name and password, or with an API key, and keeps an API key made for this machine; never the password.",
    )
    .argument("<server>", "host:port of the cluster's gateway; several with commas")
    .option("-u, --user <name>", "login name (default: asked for)")
    .option("--password-stdin", "read the password from standard input")
    .option("--key-stdin", "read an API key from standard input")
    .option(
      "--ca <file>",
      "TLS: the cluster's authority, ca.pem of berth init; or system, for a certificate that anybody's machine trusts",
    )
    .option("--ca-fingerprint <sha256>", "TLS: the authority's fingerprint, in place of its file")
    .option("--json", "answer in JSON")
    .action((server: string, options: Options) => login(caller, server, options));
}

async function login({ env }: Caller, server: string, options: Options): Promise<void> {
  const addresses = splitAddresses(server);
  if (
    addresses.length === 0 ||
    !addresses.every((one) => /^(unix:.+|\[[0-9a-fA-F:]+\]:\d+|[^\s:/]+:\d{1,5})$/.test(one))
  )
    throw usageError("server", `must look like host:port, is ${JSON.stringify(server.slice(0, 80))}`);
  const credentials = await readCredentials(options);
  const ca = await authorityFor(addresses, options);
  const nobody = connectBerth({ address: server, ca });
  const { accessToken, user } = await nobody.session.login(credentials).finally(() => nobody.close());
  const berth = connectBerth({ address: server, credential: accessToken, ca });
  try {
    const before = keptConnection(env);
    const { key } = await berth.session.createKey({ name: `${hostname()} by berth login`.slice(0, 64), ttlMs: 0 });
    const path = keepConnection({ server, user: user!.name, key, ...(ca ? { ca } : {}) }, env);
    if (before?.server === server && before.user === user!.name) await revoke(berth, before.key);
    if (options.json) printJson({ server, user: user!.name });
    else note(`logged in to ${server} as ${user!.name}; a key for this machine is kept in ${path}`);
  } finally {
    berth.close();
  }
}

/** Whom to trust, by the options. Plain text, with a warning, where nothing says it and the server is another machine. */
async function authorityFor(addresses: readonly string[], options: Options): Promise<string | undefined> {
  if (options.ca === "system") return options.ca;
  if (options.ca !== undefined) return readAuthority(options.ca);
  if (options.caFingerprint !== undefined) return fetchAuthority(addresses[0]!, options.caFingerprint);
  if (!addresses.every((address) => /^(unix:|127\.|localhost:|\[::1\])/.test(address)))
    note("berth: without --ca or --ca-fingerprint all that follows, the key too, goes to the server as plain text");
  return undefined;
}

async function readCredentials(options: Options): Promise<{ user: string; password: string; key: string }> {
  if (options.keyStdin) return { user: "", password: "", key: await readSecretLine("API key: ") };
  const user = options.user ?? (await readLine("user: "));
  if (user === "") throw usageError("--user", "say who you are, or use --key-stdin");
  return { user, password: await readSecretLine("password: "), key: "" };
}

/** What an earlier login kept; undefined if its file cannot be read, because a new login replaces it. */
function keptConnection(env: NodeJS.ProcessEnv): Connection | undefined {
  try {
    return keptLogin(env);
  } catch {
    return undefined;
  }
}

/** Revokes the key that this login replaces. */
async function revoke(berth: Berth, key: string | undefined): Promise<void> {
  const id = key?.split("_")[1];
  if (id !== undefined) await berth.session.revokeKey({ user: "", id }).catch(() => {});
}
