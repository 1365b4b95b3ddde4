import { describeLogs } from "./logs.ts";

describeLogs("process", async () => ({ env: {}, close: async () => {} }));
