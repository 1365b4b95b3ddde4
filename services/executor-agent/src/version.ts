import manifest from "../package.json" with { type: "json" };

/** Version of this agent's code; a keeper of another one takes no new runs. */
export const agentVersion: string = manifest.version;
