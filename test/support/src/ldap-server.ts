import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "@berth/local";

/** A real slapd on loopback, with StartTLS and LDAPS under a certificate of its own authority. */
export interface LdapServer {
  readonly ldapUrl: string;
  readonly ldapsUrl: string;
  /** The authority's certificate, for clients. */
  readonly caFile: string;
  /** Changes entries, as `ldapmodify` reads them. */
  modify(ldif: string): void;
  stop(): Promise<void>;
  /** At the ports and with the entries that it had. */
  start(): Promise<void>;
}

export interface LdapOptions {
  readonly dir: string;
  readonly suffix: string;
  readonly rootDn: string;
  readonly rootPassword: string;
  /** The entries that it begins with. */
  readonly ldif: string;
}

const slapd = ["/usr/sbin/slapd", "/usr/local/sbin/slapd"].find((path) => existsSync(path));

/** Starts it; resolves once it takes connections. */
export async function startLdap({ dir, suffix, rootDn, rootPassword, ldif }: LdapOptions): Promise<LdapServer> {
  if (!slapd) throw new Error("no slapd here; on Debian: apt-get install slapd ldap-utils");
  mkdirSync(join(dir, "data"), { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(dir, name);
  makeCertificate(dir);
  writeFileSync(
    file("slapd.conf"),
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${file("slapd.pid")}
TLSCACertificateFile ${file("ca.crt")}
TLSCertificateFile ${file("server.crt")}
TLSCertificateKeyFile ${file("server.key")}
security simple_bind=1
allow bind_anon_dn
database mdb
maxsize 67108864
suffix "${suffix}"
rootdn "${rootDn}"
rootpw ${rootPassword}
directory ${file("data")}
index objectClass,uid,mail,memberUid eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.base="cn=reader,${suffix}" read by self read by anonymous auth by * none
`,
  );
  writeFileSync(file("start.ldif"), ldif);
  execFileSync(slapd.replace(/slapd$/, "slapadd"), ["-f", file("slapd.conf"), "-l", file("start.ldif")]);
  const [plain, tls] = [await freePort(0), await freePort(0)];
  const ldapUrl = `ldap://127.0.0.1:${plain}`;
  const ldapsUrl = `ldaps://127.0.0.1:${tls}`;
  let child: ReturnType<typeof spawn> | undefined;

  async function start(): Promise<void> {
    child = spawn(slapd!, ["-f", file("slapd.conf"), "-h", `${ldapUrl} ${ldapsUrl}`, "-d", "0"], { stdio: "ignore" });
    for (;;) {
      if (child.exitCode !== null) throw new Error(`slapd ended with ${child.exitCode}`);
      if (await answers(plain)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  await start();
  return {
    ldapUrl,
    ldapsUrl,
    caFile: file("ca.crt"),
    start,
    modify(text) {
      const args = ["-x", "-H", ldapsUrl, "-D", rootDn, "-w", rootPassword];
      execFileSync("ldapmodify", args, { input: text, env: { ...process.env, LDAPTLS_CACERT: file("ca.crt") } });
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function makeCertificate(dir: string): void {
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority", "-days", "2");
  openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=directory");
  writeFileSync(join(dir, "san"), "subjectAltName=IP:127.0.0.1,DNS:localhost");
  const sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
  openssl(...sign, "-days", "2", "-extfile", "san", "-out", "server.crt");
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
