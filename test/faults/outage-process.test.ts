import { describeOutage } from "./outage.ts";

describeOutage("process", async () => ({ env: {}, close: async () => {} }));
