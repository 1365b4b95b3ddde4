import { execFileSync } from "node:child_process";
import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CreateUserRequest } from "@berth/contracts/api";
import { Role } from "@berth/contracts/auth";
import { Outcome } from "@berth/contracts/types";
import { apiOf, connectApi, startCluster, submit, whenOver } from "@berth/test-support";
import type { Api, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Tells each path beneath a directory that a user may read or write. */
const reachable = `
import os, sys
paths = [os.path.join(at, name) for at, dirs, files in os.walk(sys.argv[1]) for name in dirs + files]
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
for path in sorted(paths):
    may = "".join(letter for letter, mode in (("r", os.R_OK), ("w", os.W_OK)) if os.access(path, mode, follow_symlinks=False))
    if may: print(may, os.path.relpath(path, sys.argv[1]))
`;

describe.runIf(process.getuid?.() === 0)("users' tasks as plain processes", () => {
  let cluster: TestCluster;
  let api: Api;
  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
    api = apiOf(cluster);
  });
  afterAll(async () => {
    api?.close();
    await cluster?.close();
  });
  const run = async (script: string, more: object = {}) => whenOver(api, await submit(api, { script, ...more }));
  const reach = (uid: number) =>
    execFileSync("python3", ["-c", reachable, cluster.data, String(uid)], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line !== "");

  it("leave nothing that another user can read, and nothing of Berth's own to their user", async () => {
    const task = await run("#!/bin/sh\numask 0; echo secret > open; echo out; touch $BERTH_TASK_DIR/open");
    expect(task.outcome).toBe(Outcome.SUCCEEDED);
    const shared = (line: string) => /^r demo(\/texts.*)?$/.test(line) || line === "rw scratch";
    expect(reach(20_099).filter((line) => !shared(line))).toEqual([]);
    const { uid } = lstatSync(join(cluster.data, "files/0", task.id, "work"));
    const base = `files/0/${task.id}`;
    expect(
      reach(uid)
        .filter((line) => !shared(line))
        .map((line) => line.replace(/control\/\d+/, "control/N")),
    ).toEqual([`rw ${base}/1.err`, `rw ${base}/1.out`, `rw ${base}/work`, `rw ${base}/work/open`]);
  });

  it("change no directory that Berth walks", async () => {
    const root = join(cluster.data, "files");
    const attack = `#!/bin/sh
cd "$BERTH_TASK_DIR"; echo mine > a
for dir in . .. ../.. ../../.. ../../../..; do
  for name in 1 0 e work "$BERTH_TASK_ID"; do mv $dir/$name $dir/$name.real; ln -s ${root} $dir/$name; done
  rm -rf $dir/*.out $dir/*.err; mkdir $dir/new
done 2>/dev/null
echo done`;
    const task = await run(attack, { array: { first: 1, last: 2, step: 1, maxLive: 1 } });
    expect(task.outcome).toBe(Outcome.SUCCEEDED);
    const base = join(root, "0", task.id);
    expect(readdirSync(base).toSorted()).toEqual(["e", "work"]);
    expect(readdirSync(join(base, "e"))).toEqual(["0"]);
    expect(readdirSync(join(base, "e/0")).toSorted()).toEqual(["1", "1.1.err", "1.1.out", "2", "2.1.err", "2.1.out"]);
    const got = await cluster.berth(["files", "get", `${task.id}.1`, "a", "-o", "-"]);
    expect(got.stdout).toBe("mine\n");
    const log = await cluster.berth(["logs", `${task.id}.1`]);
    expect(log.stdout).toContain("done");
  });

  it("keep nobody from starting by breaking their own directories, and end with their reason", async () => {
    const key = (
      await api.session.createUser(CreateUserRequest.fromPartial({ user: { name: "eve", role: Role.USER } }))
    ).key;
    const { server } = JSON.parse(readFileSync(cluster.layout.clientFile, "utf8")) as { server: string };
    const eve = connectApi(server, key);
    const script = `#!/bin/sh
cd "$BERTH_ARRAY_DIR/.."; mv e e.real; rm -rf e; ln -s /nowhere e; ln -s /nowhere work
rm -rf "$BERTH_TASK_DIR" "$BERTH_ARRAY_DIR"; rm -f *.out *.err; chmod 0 "$BERTH_TASK_DIR" "$BERTH_ARRAY_DIR"
exit 3`;
    const array = await submit(eve, { script, array: { first: 1, last: 40, step: 1, maxLive: 0 } });
    const closed = await submit(eve, {
      command: ["true"],
      workdir: "/root/x",
      array: { first: 1, last: 40, step: 1, maxLive: 0 },
    });
    for (let n = 0; n < 5; n++) {
      const from = performance.now();
      expect((await run("true")).outcome).toBe(Outcome.SUCCEEDED);
      expect(performance.now() - from, "a neighbour's task").toBeLessThan(5_000);
    }
    const broken = await whenOver(eve, array);
    expect(broken).toMatchObject({ outcome: Outcome.FAILED, progress: { ended: { failed: 40 } } });
    expect(await whenOver(eve, `${array}.40`)).toMatchObject({ exitCode: 3, attempt: 1 });
    await whenOver(eve, closed);
    expect((await whenOver(eve, `${closed}.1`)).reason).toMatchObject({
      code: "WORKDIR_FORBIDDEN",
      message: expect.stringMatching(/^uid \d+, as which it runs, may not enter \/root on this host/) as string,
    });
    eve.close();
  });

  it("have files of any name listed and fetched, byte for byte", async () => {
    const task = await run("#!/bin/sh\nprintf 'a\\377b' > \"$(printf 'n\\377')\"; : > 'n\\x41'");
    const listed = await cluster.berth(["files", "ls", task.id]);
    expect(listed.stdout).toContain("n\\xff");
    expect(listed.stdout).toContain("n\\x41");
    const copy = join(cluster.data, "copy");
    expect((await cluster.berth(["files", "get", task.id, "n\\xff", "--escaped", "-o", copy])).code).toBe(0);
    expect(readFileSync(copy)).toEqual(Buffer.from([0x61, 0xff, 0x62]));
  });
});
