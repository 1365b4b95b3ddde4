import { describePublicWatch } from "./public-watch.ts";

describePublicWatch("SQLite", { storages: ["storage"], victims: ["gateway", "gateway2"] }, async () => ({
  env: {},
  close: async () => {},
}));
