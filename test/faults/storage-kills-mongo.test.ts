import { mongoForCore } from "@berth/test-support";
import { describeStorageKills } from "./storage-kills.ts";

describeStorageKills("MongoDB", ["storage", "storage2"], mongoForCore);
