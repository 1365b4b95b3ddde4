import { dockerForCluster } from "@berth/test-support";
import { describeLostHosts } from "./lost-hosts.ts";

describeLostHosts("docker", dockerForCluster);
