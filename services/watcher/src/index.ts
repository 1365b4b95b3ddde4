/** The watcher put together, for simulations; the service itself is `main.ts`. */
export { startWatching, type Watching, type WatchingDeps } from "./start-watching.ts";
