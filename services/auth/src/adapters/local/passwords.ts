import { AppError } from "@berth/core";
import { hash, verify } from "@node-rs/argon2";

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane; about 20 ms here. (argon2id is the library's default algorithm.) */
const cost = { memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 };

/** A slow hash is a tool against us too: only so many at once, the others wait, and no more than that wait. */
const atOnce = 2;
const mayWait = 100;

export interface Passwords {
  hash(password: string): Promise<string>;
  /** False also for `undefined` or an empty hash, after as much work, so that nobody learns which names exist. */
  matches(hashed: string | undefined, password: string): Promise<boolean>;
}

export function argonPasswords(): Passwords {
  let running = 0;
  const waiting: (() => void)[] = [];
  const decoy = hash("nobody's password", cost); // made at the start: the first unknown name must not take longer than the next

  async function limited<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (waiting.length >= mayWait)
        throw new AppError("unavailable", "TOO_MANY_LOGINS", "too many logins at once; try again in a moment");
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift(); // hands its place on, so the count stays
      if (next) next();
      else running--;
    }
  }

  return {
    hash: (password) => limited(() => hash(password, cost)),
    matches: (hashed, password) =>
      limited(async () => {
        const right = await verify(hashed || (await decoy), password);
        return right && Boolean(hashed);
      }),
  };
}
