import { AppError } from "@berth/core";

/** How many failures cause no pause, the longest pause, and the time after which one failure is forgotten. */
interface Rule {
  readonly free: number;
  readonly longestMs: number;
  readonly forgetMs: number;
}

/** For an account at addresses from which it never logged in. */
const accountRule: Rule = { free: 5, longestMs: 60_000, forgetMs: 60_000 };
/** For an address, over all accounts that never logged in from it. Many users may share an address, so more failures are free. */
const addressRule: Rule = { free: 20, longestMs: 60_000, forgetMs: 10_000 };
/** For an account at an address from which it logged in before, so that guesses from elsewhere do not lock its owner out. */
const homeRule: Rule = { free: 10, longestMs: 30_000, forgetMs: 30_000 };
const firstPauseMs = 1_000;
/** Most entries per kind. Above it the least recently used one is removed. */
const mostEntries = 10_000;

/** One attempt to log in, counted as a failure until it succeeds. */
export interface LoginAttempt {
  /** The pause that begins if this attempt fails, in milliseconds; 0 for none. */
  readonly pauseMs: number;
  succeeded(): void;
  /** The provider could not check the password, so the attempt is not counted. */
  undecided(): void;
}

/** Limits guesses of passwords per account and per address by pauses that double with each further failure. */
export class LoginGuard {
  readonly #accounts = new Counters(accountRule);
  readonly #addresses = new Counters(addressRule);
  readonly #homes = new Counters(homeRule);
  readonly #knownHomes = new Set<string>();

  /** Throws `quota` TOO_MANY_LOGINS during a pause. An attempt that is refused is not counted. `address` is empty if unknown. */
  begin(account: string, address: string, nowMs: number): LoginAttempt {
    const home = `${account} ${address}`;
    const mine = this.#knownHomes.has(home)
      ? [this.#homes.counter(home)]
      : [this.#accounts.counter(account), ...(address === "" ? [] : [this.#addresses.counter(networkOf(address))])];
    const waitMs = Math.max(...mine.map((counter) => counter.untilMs - nowMs));
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1_000);
      throw new AppError(
        "quota",
        "TOO_MANY_LOGINS",
        `too many wrong passwords for this account or from this address; wait ${seconds} s, or use an API key`,
        { metadata: { retry_after_ms: String(Math.ceil(waitMs)) } },
      );
    }
    const undo = mine.map((counter) => counter.fail(nowMs));
    return {
      pauseMs: Math.max(0, ...mine.map((counter) => counter.untilMs - nowMs)),
      undecided: () => undo.forEach((one) => one()),
      succeeded: () => {
        for (const one of undo) one();
        this.#knownHomes.delete(home);
        this.#knownHomes.add(home);
        if (this.#knownHomes.size > mostEntries) this.#knownHomes.delete(this.#knownHomes.values().next().value!);
      },
    };
  }
}

class Counter {
  readonly #rule: Rule;
  #failures = 0;
  #countedMs = 0;
  untilMs = 0;

  constructor(rule: Rule) {
    this.#rule = rule;
  }

  /** Counts a failure, and begins a pause if there are too many. Call the result to undo both. */
  fail(nowMs: number): () => void {
    const { free, longestMs, forgetMs } = this.#rule;
    this.#failures = Math.max(0, this.#failures - (nowMs - this.#countedMs) / forgetMs) + 1;
    this.#countedMs = nowMs;
    const before = this.untilMs;
    const over = Math.floor(this.#failures) - free;
    if (over >= 0) this.untilMs = nowMs + Math.min(longestMs, firstPauseMs * 2 ** Math.min(over, 30));
    return () => {
      this.#failures = Math.max(0, this.#failures - 1);
      this.untilMs = before;
    };
  }
}

class Counters {
  readonly #rule: Rule;
  readonly #all = new Map<string, Counter>();

  constructor(rule: Rule) {
    this.#rule = rule;
  }

  counter(of: string): Counter {
    const counter = this.#all.get(of) ?? new Counter(this.#rule);
    this.#all.delete(of);
    this.#all.set(of, counter);
    if (this.#all.size > mostEntries) this.#all.delete(this.#all.keys().next().value!);
    return counter;
  }
}

/** A /64 of IPv6 counts as one address, because one customer has all of it. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=[\d.]+$)/i, "");
  if (!plain.includes(":")) return plain;
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail ? tail.split(":") : [];
  const whole =
    tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  return whole.slice(0, 4).join(":");
}
