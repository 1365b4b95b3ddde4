/** The parts of an API key: the id finds its record, the secret proves that the caller has it. */
export interface ApiKeyParts {
  readonly id: string;
  readonly secret: string;
}

const keyPattern = /^berth_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

/** The text that the user keeps. Its prefix lets secret scanners find it. */
export const formatApiKey = ({ id, secret }: ApiKeyParts): string => `berth_${id}_${secret}`;

/** Undefined if the text is no API key. */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const match = keyPattern.exec(text);
  return match ? { id: match[1]!, secret: match[2]! } : undefined;
}
