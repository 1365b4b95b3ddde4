import { describeStorageKills } from "./storage-kills.ts";

describeStorageKills("SQLite", ["storage"], async () => ({ options: {}, close: async () => {} }));
