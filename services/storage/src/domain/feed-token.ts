/** The position of a reader of the change feed: the last row it has seen, in one epoch of the database. */
export interface FeedToken {
  readonly epoch: string;
  readonly seq: number;
}

export const formatToken = (token: FeedToken): string => `${token.epoch}.${token.seq}`;

/** Reads a token; undefined if it is invalid: then the reader has to start again. */
export function parseToken(text: string): FeedToken | undefined {
  const match = /^([0-9a-f-]{36})\.(0|[1-9][0-9]{0,15})$/.exec(text);
  return match ? { epoch: match[1]!, seq: Number(match[2]) } : undefined;
}
