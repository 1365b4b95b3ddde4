export * from "./gen/berth/errors/v1/details.ts";
export * from "./gen/berth/errors/v1/failure.ts";
