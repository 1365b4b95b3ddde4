export { connectBerth, type Berth, type ConnectOptions } from "./connect.ts";
export { pause, type CallExtras } from "./call-errors.ts";
export { followTasks, readOutput, type FollowOptions, type OutputRequest } from "./follow.ts";
export { fetchAuthority } from "./fetch-authority.ts";
