/** For the contract suite and tests of scale; nothing else imports a service. Each is imported only where it is used. */
export { simDriver, type SimDriverOptions } from "./adapters/sim/sim-driver.ts";
export { processDriver, type ProcessDriverOptions } from "./adapters/process/process-driver.ts";
export { findCgroups, version2Cgroups, type HostCgroups } from "./adapters/process/host-cgroups.ts";
