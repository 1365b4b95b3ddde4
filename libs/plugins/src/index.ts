export * from "./auth.ts";
export * from "./driver.ts";
export * from "./fifo-ranking.ts";
export * from "./load-auth.ts";
export * from "./load-driver.ts";
export * from "./load-ranking.ts";
export * from "./ranking.ts";
