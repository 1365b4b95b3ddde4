import { describeOutage } from "./outage.ts";

describeOutage("process");
