export * from "./auth.ts";
export * from "./driver.ts";
