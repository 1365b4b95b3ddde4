import { describe, expect, it } from "vitest";
import { checkClusterFile } from "./check-cluster-file.ts";

const made = {
  clusterId: "c",
  hostId: "h",
  driver: "process",
  simHosts: 10,
  engine: "",
  defaultImage: "",
  natsServer: "/usr/sbin/nats-server",
  natsPort: 4222,
  gatewayPort: 7433,
  otlpUrl: "",
  metricsPort: 0,
};
const check = (value: unknown) => checkClusterFile("/c/cluster.json", JSON.stringify(value));

describe("a cluster file", () => {
  it("is taken as it was made, with a site's settings", () => {
    const edited = { ...made, settings: { watcher: { BERTH_LOSS_MARGIN_MS: "30000" } } };
    expect(check(edited)).toEqual(edited);
  });

  it("is refused with all its faults at once", () => {
    const { clusterId: _, ...rest } = made;
    const read = () =>
      check({
        ...rest,
        natsPort: "4222",
        colour: "red",
        settings: { wacher: {}, agent: { BERTH_DRVER: "sim" }, watcher: { BERTH_LOSS_MARGIN_MS: 30_000 } },
      });
    for (const fault of [
      "/c/cluster.json",
      "clusterId: must be",
      "natsPort: must be a whole number",
      "colour: unknown key",
      "settings.wacher: is no service",
      "settings.agent: BERTH_DRVER is no setting; did you mean BERTH_DRIVER?",
      "settings.watcher.BERTH_LOSS_MARGIN_MS: must be a string",
    ])
      expect(read).toThrow(fault);
    expect(read).toThrow(expect.objectContaining({ code: "invalid", reason: "CLUSTER_FILE" }));
    expect(() => checkClusterFile("/c/cluster.json", "{")).toThrow("is not JSON");
    const twice = JSON.stringify(made).replace("{", '{"driver":"sim",');
    expect(() => checkClusterFile("/c/cluster.json", twice)).toThrow("driver: is given twice");
  });
});
