import { describeAnyCopy } from "./any-copy.ts";

describeAnyCopy("SQLite", ["storage"], async () => ({ env: {}, close: async () => {} }));
