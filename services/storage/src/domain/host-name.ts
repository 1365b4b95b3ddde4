/** An agent heard within this time keeps its host name. A live agent is heard at least every eleven seconds, and at once when a second agent asks. */
export const keepsNameMs = 15_000;

/**
 * Whether an agent may speak for a host name. `holder`: the agent that spoke for it last; empty or undefined: none did. One machine's agents share an id, because a
 * lock lets only one of them run; so an agent that was restarted is let in at once.
 */
export const maySpeakFor = (holder: string | undefined, agentId: string, silentMs: number): boolean =>
  holder === undefined || holder === "" || holder === agentId || silentMs >= keepsNameMs;
