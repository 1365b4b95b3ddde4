import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCluster } from "@berth/test-support";
import type { Ran, RunOptions, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** What a person gives to `berth` arrives as it was given, or is refused or warned of with a reason; what they read of it is theirs to read. */
describe("task input and output of the command line", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
  });
  afterAll(() => cluster?.close());
  const small = ["--cpu", "0.1", "--mem", "16M"];
  const file = (name: string, content: string | Buffer): string => {
    const path = join(cluster.data, name);
    writeFileSync(path, content);
    return path;
  };
  /** Runs `berth` by a line of bash, in which "$@" stands for it and its arguments. */
  const bash = (line: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    cluster.berth(args, { ...options, through: ["bash", "-c", line, "bash"] });

  it("runs a script with arguments in every element of an array", async () => {
    const script = file("elements.sh", '#!/bin/sh\necho "$BERTH_ARRAY_INDEX $1"\n');
    expect(
      (await cluster.berth(["run", "-q", ...small, "--array", "1-3", "--name", "elements", script, "a b"])).code,
    ).toBe(0);
    const { tasks } = await cluster.json<{ tasks: { id: string }[] }>(["ls", "--all", "--name", "elements"]);
    expect((await cluster.berth(["logs", `${tasks[0]!.id}.2`])).stdout).toBe("2 a b\n");
  });

  it("takes what no known host is large enough for, and says so at once", async () => {
    const warning = /^berth: warning: no known host could take it: it asks for 64 cpu and 16M; the largest host has /m;
    const large = ["--cpu", "64", "--mem", "16M"];
    const dry = await cluster.berth(["submit", "--dry-run", ...large, "--", "true"]);
    expect(dry).toMatchObject({
      code: 0,
      stdout: "this task would be accepted\n",
      stderr: expect.stringMatching(warning),
    });
    const submitted = await cluster.berth(["submit", ...large, "--", "true"]);
    expect(submitted).toMatchObject({ code: 0, stderr: expect.stringMatching(warning) });
    expect(submitted.stdout).toMatch(/^\d+\n$/);
    expect((await cluster.berth(["submit", ...small, "--", "true"])).stderr).toBe("");
  });

  it("runs a script of any bytes, and refuses arguments and variables that are not UTF-8", async () => {
    const bytes = Buffer.concat([
      Buffer.from("#!/bin/sh\nprintf '"),
      Buffer.from([0xff, 0xfe]),
      Buffer.from("' | od -An -tx1\n"),
    ]);
    expect((await cluster.berth(["run", "-q", ...small, file("bytes.sh", bytes)])).stdout).toBe(" ff fe\n");
    const argument = await bash(`"$@" $'a\\xff'`, ["run", ...small, "--", "echo"]);
    expect(argument).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/argument 8 .*must be UTF-8; byte 0xFF at offset 1/),
    });
    const variable = await bash(`V=$'\\xff' "$@"`, ["run", ...small, "--env", "V", "--", "true"]);
    expect(variable).toMatchObject({ code: 2, stderr: expect.stringContaining("V must be UTF-8") });
    expect((await cluster.berth(["run", "-q", ...small, "--", "echo", "\uFFFD"])).stdout).toBe("\uFFFD\n");
  });

  it("refuses Windows line ends after #!, and warns of lines and options that have no effect", async () => {
    expect(await cluster.berth(["submit", file("crlf.sh", "#!/bin/sh\r\ntrue\r\n")])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Windows line ends"),
    });
    const slurm = file("slurm.sh", "#!/bin/sh\n#SBATCH --mem=4G\ntrue\n");
    expect(await cluster.berth(["submit", ...small, slurm])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\n$/),
      stderr: expect.stringMatching(/warning: .*slurm\.sh: Berth does not read line 2 \(#SBATCH --mem=4G\)/),
    });
    expect((await cluster.berth(["submit", ...small, "--image", "busybox", "--", "true"])).stderr).toContain(
      "--image has no effect",
    );
    expect((await bash(`"$@" < ${slurm}`, ["submit", ...small, "--", "sh"])).stderr).toContain(
      "standard input is empty",
    );
    expect((await bash(`"$@" < /dev/null`, ["submit", ...small, "--", "true"])).stderr).toBe("");
  });

  it("takes thousands of lines with a long variable for all", async () => {
    const ran = await cluster.berth(["submit", "--dry-run", "--env", `DATA=${"é".repeat(2_000)}`, "-"], {
      input: '{"command":["true"]}\n'.repeat(5_000),
    });
    expect(ran).toMatchObject({ code: 0, stdout: "ok\n".repeat(5_000) });
  });

  it("names line and path of what a line says wrongly, and starts nothing of it", async () => {
    const lines = [
      "",
      '{"command":["true"],"dependencies":{"kind":"KIND_AFTER","taskId":"1"}}',
      '{"command":["true"],"resources":{"memory":"4G"}}',
    ];
    expect(await cluster.berth(["submit", "-"], { input: lines.join("\n") })).toMatchObject({
      code: 2,
      stdout:
        "error: line 2: dependencies: must be a list\n" +
        'error: line 3: resources.memory: there is no such field; there are cpuMilli, memoryBytes; or write "cpu" and "mem" beside it\n',
    });
  });

  it("exits with the task's code after its output pipe was closed, and prints other errors in one line", async () => {
    const task = [
      "run",
      "-q",
      ...small,
      "--",
      "sh",
      "-c",
      "for i in $(seq 20000); do echo $i; done; sleep 0.3; exit 3",
    ];
    expect(await bash('"$@" | head -n 1; exit ${PIPESTATUS[0]}', task)).toMatchObject({
      code: 3,
      stdout: "1\n",
      stderr: "",
    });
    expect(await bash('"$@" > /dev/full', task)).toMatchObject({
      code: 3,
      stderr: "berth: standard output: no space left on the device (ENOSPC)\n",
    });
    for (const args of [["ls", "--all"], ["version"], ["--help"], ["show", "1"], ["status", "--json"]])
      expect(await bash('"$@" > /dev/full', args)).toMatchObject({
        code: 1,
        stderr: "berth: standard output: no space left on the device (ENOSPC)\n",
      });
    expect((await bash('"$@" 2> /dev/full', ["show", "999999"])).code).toBe(3);
  });

  it("shows control characters of files' names as escapes", async () => {
    const id = (
      await cluster.berth(["submit", ...small, "--", "sh", "-c", "touch \"$(printf 'a\\033[2Jb\\nc')\""])
    ).stdout.trim();
    await cluster.berth(["wait", id]);
    expect((await cluster.berth(["files", "ls", id])).stdout).toContain("a\\x1b[2Jb\\nc");
  });

  it("writes a file to a device without replacing it, and says in one line what the system refuses", async () => {
    const id = (await cluster.berth(["submit", ...small, "--", "sh", "-c", "echo hi > a"])).stdout.trim();
    await cluster.berth(["wait", id]);
    const before = statSync("/dev/full").rdev;
    expect(await cluster.berth(["files", "get", id, "a", "-o", "/dev/full"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^berth: ENOSPC[^\n]*\n$/),
    });
    expect(statSync("/dev/full")).toMatchObject({ rdev: before });
    expect((await cluster.berth(["files", "get", id, "a", "-o", cluster.data])).stderr).toContain("is a directory");
  });

  it("says what is asked for: elements of no array, no limit, why it was rejected", async () => {
    const id = (await cluster.berth(["submit", ...small, "--", "true"])).stdout.trim();
    expect(await cluster.berth(["ls", id])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`task ${id} is no array`),
    });
    expect(await cluster.berth(["update", id, "--array-limit", "0"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("or none for no limit"),
    });
    const rejected = (await cluster.berth(["submit", "--cpu", "1000", "--", "true"])).stdout.trim();
    await cluster.berth(["wait", rejected]);
    expect((await cluster.berth(["why", rejected])).stdout).toMatch(/rejected.*: .*\([A-Z_]+\)/);
  });

  it("talks to the cluster that was brought up last, also after a login elsewhere", async () => {
    const config = join(cluster.data, "logged-in-elsewhere");
    mkdirSync(join(config, "berth"), { recursive: true });
    writeFileSync(join(config, "berth", "credentials.json"), '{"server":"127.0.0.1:9","user":"anna","key":"k"}', {
      mode: 0o600,
    });
    const env = { XDG_CONFIG_HOME: config };
    expect((await cluster.berth(["ls"], { env })).code).toBe(5);
    const up = await cluster.berth(["up", "--driver", "process", "--port", "0"], { env });
    expect(up).toMatchObject({ code: 0, stderr: expect.stringContaining("berth login 127.0.0.1:9") });
    expect((await cluster.berth(["ls"], { env })).code).toBe(0);
  });
});
