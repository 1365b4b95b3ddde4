export { connectBus, type Bus, type BusOptions, type Incoming, type RequestOptions, type ServeOptions } from "./bus.ts";
export { busLogin, type BusLogin } from "./bus-login.ts";
export { keepBusAccount, type BusAccountOptions } from "./bus-account.ts";
