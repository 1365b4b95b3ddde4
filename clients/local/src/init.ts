/** What it takes to make a new cluster of several machines, without what brings one up here. */
export { defaultPorts, initCluster, renewServices } from "./init-cluster.ts";
export type { InitialisedCluster, InitialisedService, InitOptions } from "./init-cluster.ts";
