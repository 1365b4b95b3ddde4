import { describeLogs } from "./logs.ts";

describeLogs("process");
