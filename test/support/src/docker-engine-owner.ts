import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { isAlive, removeDockerEngine, startDockerEngine } from "./docker-engine.ts";
import type { DockerEngine } from "./docker-engine.ts";

/** Holds the shared engine for the processes that are connected to its lease; see sharedDockerEngine. */
const dir = process.argv[2]!;
const lingerMs = 4000;

mkdirSync(dir, { recursive: true, mode: 0o711 });
const pidFile = join(dir, "owner");
try {
  writeFileSync(pidFile, String(process.pid), { flag: "wx" });
} catch {
  // Another process is the owner, unless it was killed and left the engine behind.
  if (isAlive(Number(readFileSync(pidFile, "utf8")))) process.exit(0);
  await removeDockerEngine(join(dir, "engine"));
  rmSync(dir, { recursive: true, force: true });
  process.exit(0);
}
let engine: DockerEngine;
try {
  engine = await startDockerEngine(join(dir, "engine"));
} catch (error) {
  rmSync(dir, { recursive: true, force: true });
  throw error;
}

let users = 0;
let timer = setTimeout(end, lingerMs);
const server = createServer((socket) => {
  users += 1;
  clearTimeout(timer);
  socket.on("error", () => {});
  socket.write(engine.socketPath);
  socket.resume();
  socket.once("close", () => {
    users -= 1;
    if (users === 0) timer = setTimeout(end, lingerMs);
  });
}).listen(join(dir, "lease"));

function end(): void {
  server.close();
  void engine.stop().then(() => {
    rmSync(dir, { recursive: true, force: true });
    process.exit(0);
  });
}
