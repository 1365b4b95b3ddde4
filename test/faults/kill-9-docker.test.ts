import { dockerForCluster } from "@berth/test-support";
import { describeKill9 } from "./kill-9.ts";

describeKill9("docker", dockerForCluster);
