import { describeStorageKills } from "./storage-kills.ts";

describeStorageKills("SQLite", ["storage"], async () => ({
  env: {},
  close: async () => {},
}));
