import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settingsOf } from "./env-files.ts";
import { doubtfulVariables } from "./setting-names.ts";

describe("files of settings", () => {
  let dir: string;
  const write = (name: string, content: string, mode = 0o600): string => {
    writeFileSync(join(dir, name), content, { mode });
    return join(dir, name);
  };
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "berth-env-"))));
  afterEach(() => rmSync(dir, { recursive: true }));

  it("are read in order, the environment the strongest", () => {
    const first = write(
      "a.env",
      "# both\nBERTH_STORAGE=a:1\nexport BERTH_AUTH=a:2\nTZ=UTC\n\nBERTH_LISTEN=a:3 # here\n",
    );
    const second = write("b.env", 'BERTH_AUTH="b:2"\nBERTH_RANKING_CONFIG=\'{\n  "half": 3\n}\'\n');
    expect(settingsOf([first, second], { BERTH_LISTEN: "c:3" })).toEqual({
      BERTH_STORAGE: "a:1",
      BERTH_AUTH: "b:2",
      TZ: "UTC",
      BERTH_LISTEN: "c:3",
      BERTH_RANKING_CONFIG: '{\n  "half": 3\n}',
    });
  });

  it("are refused with all their faults at once", () => {
    const file = write("a.env", "BERTH_STORGE=a:1\nBERTH_CLUSTER_SECRET=abc\nBERTH_AUTH a:2\nBERTH_COLOUR=red\n");
    chmodSync(file, 0o644);
    const read = () => settingsOf([file, join(dir, "nowhere.env")], {});
    for (const fault of [
      `${file}: BERTH_STORGE is no setting; did you mean BERTH_STORAGE?`,
      `${file}: BERTH_COLOUR is no setting`,
      `${file}: line 3 is not NAME=value`,
      `chmod 600 ${file}`,
      `${join(dir, "nowhere.env")} cannot be read: ENOENT`,
    ])
      expect(read).toThrow(fault);
    expect(read).toThrow(expect.objectContaining({ code: "invalid", reason: "ENV_FILE" }));
  });

  it("may be read by others where they hold no secret", () => {
    const file = write("a.env", "BERTH_LISTEN=a:1\n", 0o644);
    expect(settingsOf([file], {})).toEqual({ BERTH_LISTEN: "a:1" });
  });

  it("of the environment, only names that nearly are a setting are doubtful", () => {
    const env = { BERTH_SEVER: "a:1", BERTH_TASK_ID: "17", BERTH_ARRAY_DIR: "/a", BERTH_HOUSE: "b", BERTH_LISTEN: "c" };
    expect(doubtfulVariables(env)).toEqual(["the environment: BERTH_SEVER is no setting; did you mean BERTH_SERVER?"]);
  });
});
