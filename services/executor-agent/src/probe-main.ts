import { homedir } from "node:os";
import { ensureDefaultImage } from "./adapters/docker/default-image.ts";
import { findEngine } from "./adapters/docker/engine.ts";

/**
 * Which driver this machine's agent would use, for whoever sets a cluster up. Prints lines of JSON: `{"progress"}` while an image is made ready, and last
 * `{"driver", "engine", "image", "why"}`.
 */
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

const engine = await findEngine(process.env, homedir());
if (!engine) {
  say({ driver: "process", engine: "", image: "", why: "no Docker engine answers" });
} else {
  try {
    const image = await ensureDefaultImage(engine, (progress) => say({ progress }));
    const address = engine.socketPath ? `unix://${engine.socketPath}` : "";
    say({
      driver: "docker",
      engine: address,
      image,
      why: `engine ${engine.version} at ${address || engine.host}, image ${image} for tasks that name none`,
    });
  } catch (error) {
    say({
      driver: "process",
      engine: "",
      image: "",
      why: `a Docker engine answers but has no image to run: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
}
