import { describeLostHosts } from "./lost-hosts.ts";

describeLostHosts("process");
