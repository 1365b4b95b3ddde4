import { dockerForCluster } from "@berth/test-support";
import { describeOutage } from "./outage.ts";

describeOutage("docker", dockerForCluster);
