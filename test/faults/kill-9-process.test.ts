import { describeKill9 } from "./kill-9.ts";

describeKill9("process");
