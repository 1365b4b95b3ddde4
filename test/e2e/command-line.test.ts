import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot, startCluster } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** What a person does with `berth`, and what programs read of it. */
describe("the command line", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
  });
  afterAll(() => cluster?.close());
  const small = ["--cpu", "0.1", "--mem", "16M"];
  const ids = async (args: string[]) =>
    (await cluster.json<{ tasks?: { id: string }[] }>(["ls", ...args])).tasks?.map(({ id }) => id) ?? [];

  it("runs a command with its output, its error output and its exit code", async () => {
    const ran = await cluster.berth([
      "run",
      ...small,
      "--env",
      "A=b c",
      "--",
      "sh",
      "-c",
      'echo "out $A"; echo err >&2; exit 7',
    ]);
    expect(ran).toMatchObject({ code: 7, stdout: "out b c\n" });
    expect(ran.stderr).toMatch(/^task \d+\n/);
    expect(ran.stderr).toContain("err\n");
    expect((await cluster.berth(["run", "-q", ...small, "--", "true"])).stderr).toBe("");
  });

  it.each<[number, string[], RegExp]>([
    [128 + 11, ["--", "sh", "-c", "kill -SEGV $$; sleep 5"], /signal 11|exit 139/],
    [127, ["--", "no-such-command-here"], /COMMAND_NOT_FOUND/],
    [124, ["--time", "300ms", "--grace", "1s", "--", "sleep", "30"], /time/],
    [1, ["--cpu", "1000", "--", "true"], /rejected/],
  ])("exits %d for `run %j`, and says why", async (code, args, why) => {
    const ran = await cluster.berth(["run", ...small, ...args]);
    expect(ran.stderr).toMatch(why);
    expect(ran.code).toBe(code);
  });

  it("runs a script with options of its own; the command line wins; arguments reach it", async () => {
    const script = join(cluster.data, "job.sh");
    writeFileSync(
      script,
      '#!/bin/sh\n#BERTH --name from-script --mem 24M --cpu 0.2\n#BERTH --env "A=script" --env B=script\necho "$A $B $BERTH_MEMORY_BYTES $*"\n',
    );
    expect((await cluster.berth(["run", "--env", "A=line", script])).stdout).toBe(`line script ${24 * 2 ** 20} \n`);
    expect((await cluster.berth(["run", "--mem", "32M", script, "x", "y z"])).stdout).toBe(
      `script script ${32 * 2 ** 20} x y z\n`,
    );
    expect(await ids(["--all", "--name", "from-*"])).toHaveLength(2);
  });

  it("kills its task on Ctrl-C, follows it to the end and exits 137", async () => {
    const child = spawn(
      join(repositoryRoot, "berth"),
      [
        "run",
        ...small,
        "--grace",
        "5s",
        "--",
        "sh",
        "-c",
        'trap "echo bye; exit 0" TERM; echo started; while :; do sleep 0.05; done',
      ],
      {
        env: {
          PATH: process.env["PATH"],
          HOME: process.env["HOME"],
          BERTH_DATA: cluster.data,
          XDG_CONFIG_HOME: join(cluster.data, "config"),
          NO_COLOR: "1",
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let out = "";
    child.stdout.on("data", (text: Buffer) => {
      if (out === "") child.kill("SIGINT");
      out += String(text);
    });
    const [code] = (await once(child, "close")) as [number];
    expect(out).toBe("started\nbye\n");
    expect(code).toBe(137);
  });

  it("submits, lists, explains, waits, shows and kills", async () => {
    const holder = (await cluster.berth(["submit", ...small, "--name", "holder", "--", "sleep", "60"])).stdout.trim();
    const waiter = (
      await cluster.berth(["submit", ...small, "--after", holder, "--name", "waiter", "--", "true"])
    ).stdout.trim();
    expect(await ids([])).toEqual([waiter, holder]);
    expect((await cluster.berth(["ls", "--name", "wait*"])).stdout.split("\n")[1]).toMatch(
      new RegExp(`^${waiter} +waiter +pending`),
    );
    expect((await cluster.berth(["why", waiter])).stdout).toContain(holder);
    expect((await cluster.json<{ explanation: { code: string } }>(["why", waiter])).explanation.code).toBe(
      "WAITING_FOR_DEPENDENCY",
    );
    const waiting = cluster.berth(["wait", holder, waiter]);
    expect((await cluster.berth(["kill", "--name", "holder"])).code).toBe(0);
    expect(await waiting).toMatchObject({ code: 137, stdout: expect.stringMatching(/killed\n.*succeeded/) });
    expect((await cluster.berth(["show", holder])).stdout).toMatch(/killed by berth/);
    expect((await cluster.berth(["why", holder])).stdout).toContain("does not wait");
    expect((await cluster.berth(["kill", holder])).code).toBe(0);
    expect((await cluster.berth(["wait", "999999"])).code).toBe(3);
  });

  it("runs an array, lists its elements and shows their logs", async () => {
    const ran = await cluster.berth([
      "run",
      ...small,
      "--array",
      "1-4%2",
      "--",
      "sh",
      "-c",
      'echo "I am $BERTH_ARRAY_INDEX"; test $BERTH_ARRAY_INDEX != 3',
    ]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("ELEMENTS_FAILED");
    const [array] = await ids(["--all", "-n", "1"]);
    expect(await ids([array!])).toEqual([1, 2, 3, 4].map((index) => `${array}.${index}`));
    expect(await ids([array!, "--state", "failed"])).toEqual([`${array}.3`]);
    expect((await cluster.berth(["logs", `${array}.2`])).stdout).toBe("I am 2\n");
    expect(await cluster.berth(["logs", array!])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${array}.1`),
    });
  });

  it("answers a line for a line of standard input", async () => {
    const lines = [
      '{"command":["true"],"cpu":0.1,"mem":"16M"}',
      '{"command":["true"],"nope":1}',
      '{"command":["true"],"priority":1000}',
    ];
    const ran = await cluster.berth(["submit", "-"], { input: lines.join("\n") });
    expect(ran.stdout.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^\d+$/),
      expect.stringMatching(/^error: line 2: nope/),
      expect.stringMatching(/^error: line 3: priority/),
    ]);
    expect(ran.code).toBe(2);
  });

  it("lists, gets and adds files of a task", async () => {
    const id = (
      await cluster.berth(["submit", ...small, "--", "sh", "-c", "mkdir d; head -c 700000 /dev/zero > d/big"])
    ).stdout.trim();
    await cluster.berth(["wait", id]);
    expect((await cluster.berth(["files", "ls", id, "d"])).stdout).toMatch(/big/);
    const here = join(cluster.data, "big");
    expect((await cluster.berth(["files", "get", id, "d/big", "-o", here])).code).toBe(0);
    expect(statSync(here).size).toBe(700_000);
    expect((await cluster.berth(["files", "add", id, here, "e/again"])).code).toBe(0);
    expect(await cluster.json(["files", "ls", id, "e"])).toEqual({ entries: [{ name: "again", sizeBytes: 700_000 }] });
    expect((await cluster.berth(["files", "get", id, "nothing", "-o", join(cluster.data, "none")])).code).toBe(3);
    expect(existsSync(join(cluster.data, "none"))).toBe(false);
    expect((await cluster.berth(["files", "get", id, "../x"])).code).toBe(2);
  });

  it("logs in with a password, keeps a key made for this machine and not the password", async () => {
    const { server } = JSON.parse(readFileSync(cluster.layout.clientFile, "utf8")) as { server: string };
    const env = { XDG_CONFIG_HOME: join(cluster.data, "other-home"), BERTH_DATA: join(cluster.data, "nowhere") };
    expect((await cluster.berth(["ls"], { env })).code).toBe(5);
    const added = await cluster.berth(["user", "add", "anna", "--password-stdin"], { input: "a long password\n" });
    expect(added.stdout).toMatch(/^berth_\w{12}_[\w-]{43}\n$/);
    expect(
      (
        await cluster.berth(["login", server, "--user", "anna", "--password-stdin"], {
          env,
          input: "a wrong password\n",
        })
      ).code,
    ).toBe(4);
    for (let twice = 0; twice < 2; twice++) {
      expect(
        (
          await cluster.berth(["login", server, "--user", "anna", "--password-stdin"], {
            env,
            input: "a long password\n",
          })
        ).code,
      ).toBe(0);
    }
    const kept = join(env.XDG_CONFIG_HOME, "berth", "credentials.json");
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(readFileSync(kept, "utf8")).not.toContain("password");
    const keys = JSON.parse((await cluster.berth(["key", "ls", "--json"], { env })).stdout) as {
      keys: { id: string; name: string }[];
    };
    expect(keys.keys.map(({ name }) => name)).toEqual(["first key", expect.stringContaining("berth login")]);
    expect((await cluster.berth(["user", "add", "ben"], { env })).code).toBe(4);
    expect((await cluster.berth(["run", "-q", ...small, "--", "id", "-un"], { env })).code).toBeLessThan(2);
    expect((await cluster.berth(["volume", "ls"], { env })).stdout).toMatch(/scratch/);
    expect((await cluster.berth(["key", "revoke", keys.keys[1]!.id], { env })).code).toBe(0);
    expect((await cluster.berth(["ls"], { env })).code).toBe(4);
  });

  it("teaches, guesses what was meant, and helps", async () => {
    expect((await cluster.berth([])).stdout.match(/^ {2}berth /gm)?.length).toBeGreaterThanOrEqual(5);
    expect(await cluster.berth(["version"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^berth \d+\.\d+\.\d+\n$/),
    });
    expect((await cluster.berth(["run", "--help"])).stdout).toContain("Everything behind -- is the command");
    expect(await cluster.berth(["key", "lst"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Did you mean ls?"),
    });
    expect(await cluster.berth(["run", "prog", "--mem", "2G"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--mem"),
    });
    expect((await cluster.berth(["hosts"])).stdout).toMatch(/up +process/);
  });
});
