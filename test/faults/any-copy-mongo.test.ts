import { mongoForCore } from "@berth/test-support";
import { describeAnyCopy } from "./any-copy.ts";

describeAnyCopy("MongoDB", ["storage", "storage2"], mongoForCore);
