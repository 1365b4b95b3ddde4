import { describeStorageKills } from "./storage-kills.ts";

describeStorageKills("SQLite", ["storage"], async () => ({
  env: {},
  afterKill: async () => {},
  close: async () => {},
}));
