import { describeTaskLife } from "./task-life.ts";

describeTaskLife("process");
