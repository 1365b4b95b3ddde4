import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AppError } from "@berth/core";
import {
  Client,
  ConstraintViolationError,
  InappropriateAuthError,
  InvalidCredentialsError,
  NoSuchObjectError,
  ResultCodeError,
  SizeLimitExceededError,
  UnwillingToPerformError,
} from "ldapts";
import type { Entry, Filter, SearchOptions } from "ldapts";
import { atOnce } from "../at-once.ts";
import { serverIdentity } from "./settings.ts";
import type { LdapSettings } from "./settings.ts";

/** The provider's queries to a directory. Each rejects with `unavailable` LDAP_AWAY if no server answers. */
export interface Directory {
  /** Entries below `base` with these attributes; undefined if there are more than `most`, or more than the server returns. */
  search(base: string, filter: Filter, attributes: readonly string[], most: number): Promise<Entry[] | undefined>;
  /** Whether that is the password of `dn`. False for an empty one, with which a server would accept an anonymous bind. */
  isPassword(dn: string, password: string): Promise<boolean>;
  close(): Promise<void>;
}

interface Connection {
  readonly client: Client;
  readonly isOpen: () => boolean;
  /** Waits for an operation until the connection ends or the timeout passes, because the library waits for ever if a connection ends during StartTLS. */
  within<T>(operation: Promise<T>): Promise<T>;
  close(): void;
}

/** Entries per page of a long answer. Servers refuse to give more than 500 or 1,000 at once. */
const pageSize = 400;

/** Result codes of a refused bind. Servers answer the last two for accounts that are locked or disabled. */
const noes = [
  InvalidCredentialsError,
  NoSuchObjectError,
  InappropriateAuthError,
  ConstraintViolationError,
  UnwillingToPerformError,
];

/** Limit of concurrent connections that verify passwords. */
const proofsAtOnce = 8;
const proofsWaiting = 100;

/** A directory, with one connection for searches and one more per password check. */
export function openDirectory(settings: LdapSettings): Directory {
  let searching: Promise<Connection> | undefined;
  const proving = atOnce(proofsAtOnce, proofsWaiting);

  const connect = (): Promise<Connection> =>
    connectAny(settings, async ({ client }) => {
      if (settings.bindDn !== undefined) await client.bind(settings.bindDn, settings.bindPassword);
    });

  /** The connection that searches. Searches that come while it is made share it; one that has ended is made again. */
  async function searcher(): Promise<Connection> {
    const present = (searching ??= connect());
    const connection = await present.catch((error: unknown) => {
      if (searching === present) searching = undefined;
      throw error;
    });
    if (connection.isOpen()) return connection;
    if (searching === present) searching = undefined;
    return (searching ??= connect());
  }

  return {
    async search(base, filter, attributes, most) {
      const options: SearchOptions = {
        scope: "sub",
        filter,
        attributes: [...attributes],
        sizeLimit: most + 1,
        paged: most > pageSize ? { pageSize } : false,
      };
      for (let attempt = 1; ; attempt += 1) {
        const connection = await searcher();
        try {
          const { searchEntries } = await connection.within(connection.client.search(base, options));
          return searchEntries.length > most ? undefined : searchEntries;
        } catch (error) {
          if (error instanceof NoSuchObjectError) return [];
          if (error instanceof SizeLimitExceededError) return undefined;
          // The server may have closed the idle connection at the moment of its use.
          if (attempt === 1 && !(error instanceof ResultCodeError) && !connection.isOpen()) continue;
          connection.close();
          throw away(settings, error);
        }
      }
    },
    isPassword: (dn, password) =>
      proving(async () => {
        if (password === "") return false;
        let right = false;
        const connection = await connectAny(settings, async ({ client }) => {
          try {
            await client.bind(dn, password);
            right = true;
          } catch (error) {
            if (!noes.some((kind) => error instanceof kind)) throw error;
          }
        });
        connection.close();
        return right;
      }),
    async close() {
      (await searching?.catch(() => undefined))?.close();
    },
  };
}

/** Connects to the first server at which `begin` succeeds. */
async function connectAny(
  settings: LdapSettings,
  begin: (connection: Connection) => Promise<void>,
): Promise<Connection> {
  let failure: unknown;
  for (const server of settings.urls) {
    const connection = clientOf(server, settings);
    try {
      await connection.within(startTls(server, settings, connection.client));
      await connection.within(begin(connection));
      return connection;
    } catch (error) {
      failure = error;
      connection.close();
    }
  }
  throw away(settings, failure);
}

const tlsOptions = (server: URL, settings: LdapSettings) => ({
  ...serverIdentity(server),
  ...(settings.authorities === undefined ? {} : { ca: settings.authorities }),
  rejectUnauthorized: true,
  minVersion: "TLSv1.2" as const,
});

async function startTls(server: URL, settings: LdapSettings, client: Client): Promise<void> {
  if (server.protocol === "ldaps:" || settings.plainText) return;
  await client.startTLS(tlsOptions(server, settings));
}

/** A client that refuses to reconnect. The library would reconnect without StartTLS and without binding, so a password could be sent in plain text. */
function clientOf(server: URL, settings: LdapSettings): Connection {
  let socket: Socket | undefined;
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const once = <S extends Socket>(open: () => S): S => {
    if (socket) throw new Error("the connection to the directory ended");
    const opened = open();
    socket = opened.setNoDelay(true);
    socket.once("close", () => ended.reject(new Error("the connection to the directory ended")));
    return opened;
  };
  const isTls = server.protocol === "ldaps:";
  const port = Number(server.port || (isTls ? 636 : 389));
  const { host } = serverIdentity(server);
  const client = new Client({
    url: server.href,
    timeout: settings.timeoutMs,
    connectTimeout: settings.timeoutMs,
    ...(isTls
      ? {
          createSecureConnection: (() =>
            once(() => connectTls({ port, ...tlsOptions(server, settings) }))) as typeof connectTls,
        }
      : { createConnection: (() => once(() => connectTcp({ port, host }))) as typeof connectTcp }),
  });
  return {
    client,
    isOpen: () => socket !== undefined && !socket.destroyed && client.isConnected,
    async within(operation) {
      operation.catch(() => {});
      const late = Promise.withResolvers<never>();
      const words = `${server.host} said nothing for ${settings.timeoutMs} ms`;
      const timer = setTimeout(() => late.reject(new Error(words)), settings.timeoutMs);
      try {
        return await Promise.race([operation, ended.promise, late.promise]);
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => socket?.destroy(),
  };
}

function away(settings: LdapSettings, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const servers = settings.urls.map((server) => server.host).join(", ");
  const words = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
  return new AppError("unavailable", "LDAP_AWAY", `the directory (${servers}) gives no answer: ${words}`, { cause });
}
