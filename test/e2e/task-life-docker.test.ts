import { dockerForCluster } from "@berth/test-support";
import { describeTaskLife } from "./task-life.ts";

describeTaskLife("docker", dockerForCluster);
