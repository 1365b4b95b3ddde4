import { hash, verify } from "@node-rs/argon2";
import { atOnce } from "../at-once.ts";

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane; about 20 ms here. (argon2id is the library's default algorithm.) */
const cost = { memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 };

/** A slow hash can be used for denial of service. So both the running hashes and the waiting ones are limited. */
const hashesAtOnce = 2;
const mayWait = 100;

export interface Passwords {
  hash(password: string): Promise<string>;
  /** False for `undefined` or an empty hash too, after the same work, so that timing does not reveal which names exist. */
  matches(hashed: string | undefined, password: string): Promise<boolean>;
}

export function argonPasswords(): Passwords {
  const decoy = hash("nobody's password", cost); // made at the start: the first unknown name must not take longer than the next

  const limited = atOnce(hashesAtOnce, mayWait);

  return {
    hash: (password) => limited(() => hash(password, cost)),
    matches: (hashed, password) =>
      limited(async () => {
        const right = await verify(hashed || (await decoy), password);
        return right && Boolean(hashed);
      }),
  };
}
