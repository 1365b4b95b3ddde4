import { describe, expect, it } from "vitest";
import { isSecretSetting, secretFileFault } from "./secret-files.ts";

describe("files that hold secrets", () => {
  it.each([
    [1000, 0o100600, true],
    [1000, 0o100400, true],
    [0, 0o100600, true],
    [0, 0o100640, true],
    [0, 0o100440, true],
    [1000, 0o100640, false],
    [1000, 0o100644, false],
    [0, 0o100644, false],
    [0, 0o100660, false],
    [0, 0o100602, false],
  ])("of uid %i with mode %o: %s", (uid, mode, fine) => {
    const fault = secretFileFault("/etc/berth/cluster.env", { uid, mode });
    if (fine) expect(fault).toBeUndefined();
    else expect(fault).toContain("chmod 600 /etc/berth/cluster.env");
  });

  it.each([
    ["BERTH_CLUSTER_SECRET", "x", true],
    ["BERTH_NATS_PASSWORD", "x", true],
    ["BERTH_DATABASE", "mongodb://berth:hidden@db/berth", true],
    ["BERTH_NATS_URL", "nats://a:b@10.0.0.1:4222", true],
    ["BERTH_DATABASE", "mongodb://127.0.0.1:27017,127.0.0.1:27018/berth", false],
    ["BERTH_LISTEN", "127.0.0.1:7433", false],
  ])("%s=%s is a secret: %s", (name, value, is) => expect(isSecretSetting(name, value)).toBe(is));
});
