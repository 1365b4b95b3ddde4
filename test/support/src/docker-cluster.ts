import { sharedDockerEngine, whyNoDockerEngine } from "./docker-engine.ts";

/** What a cluster of a test needs to use the tests' own Docker engine. Fails with NOT RUN and why where no engine can be started. */
export async function dockerForCluster(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}> {
  const why = whyNoDockerEngine();
  if (why) throw new Error(`NOT RUN: ${why}`);
  const engine = await sharedDockerEngine();
  return { env: { DOCKER_HOST: `unix://${engine.socketPath}` }, close: () => engine.release() };
}
