import { describeLostHosts } from "./lost-hosts.ts";

describeLostHosts("process", async () => ({ env: {}, close: async () => {} }));
