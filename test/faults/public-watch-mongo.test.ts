import { mongoForCore } from "@berth/test-support";
import { describePublicWatch } from "./public-watch.ts";

const storages = ["storage", "storage2"] as const;
describePublicWatch("MongoDB", { storages, victims: ["gateway", "storage", "gateway2", "storage2"] }, mongoForCore);
