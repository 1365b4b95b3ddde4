export { connectBus, type Bus, type BusOptions, type Incoming, type RequestOptions, type ServeOptions } from "./bus.ts";
export { busLogin, loginOptions, type BusLogin } from "./bus-login.ts";
export { keepBusAccount, type BusAccountOptions } from "./bus-account.ts";
