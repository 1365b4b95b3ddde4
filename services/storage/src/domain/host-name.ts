/** An agent that was heard within this time keeps its host name from others: a living one is heard every eleven seconds at the least, and at once when a second one asks. */
export const keepsNameMs = 15_000;

/**
 * Whether an agent may speak for a host name. `holder`: the agent that spoke for it last; empty or undefined: none did. One machine's agents share an id, because a
 * lock lets only one of them run; so an agent that was restarted is let in at once.
 */
export const maySpeakFor = (holder: string | undefined, agentId: string, silentMs: number): boolean =>
  holder === undefined || holder === "" || holder === agentId || silentMs >= keepsNameMs;
