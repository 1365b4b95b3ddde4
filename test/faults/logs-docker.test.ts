import { dockerForCluster } from "@berth/test-support";
import { describeLogs } from "./logs.ts";

describeLogs("docker", dockerForCluster);
