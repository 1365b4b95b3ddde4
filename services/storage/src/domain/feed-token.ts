/** Where a reader of the change feed is: the last row it has seen, in one life of the database. */
export interface FeedToken {
  readonly epoch: string;
  readonly seq: number;
}

export const formatToken = (token: FeedToken): string => `${token.epoch}.${token.seq}`;

/** Reads a token; undefined where it is none, which a reader answers with *start again*. */
export function parseToken(text: string): FeedToken | undefined {
  const match = /^([0-9a-f-]{36})\.(0|[1-9][0-9]{0,15})$/.exec(text);
  return match ? { epoch: match[1]!, seq: Number(match[2]) } : undefined;
}
