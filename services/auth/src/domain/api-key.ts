/** An API key in its parts: the id finds it, the secret proves it. */
export interface ApiKeyParts {
  readonly id: string;
  readonly secret: string;
}

const keyPattern = /^berth_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

/** As the user keeps it. The prefix lets secret scanners find it. */
export const formatApiKey = ({ id, secret }: ApiKeyParts): string => `berth_${id}_${secret}`;

/** Undefined where it does not look like one. */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const match = keyPattern.exec(text);
  return match ? { id: match[1]!, secret: match[2]! } : undefined;
}
