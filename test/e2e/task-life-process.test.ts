import { describeTaskLife } from "./task-life.ts";

describeTaskLife("process", async () => ({ env: {}, close: async () => {} }));
