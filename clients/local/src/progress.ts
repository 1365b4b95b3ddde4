/** Tells a person what happens: one line per step, with a spinner where there is a terminal. Goes to standard error. */
export interface Progress {
  /** A step begins; the one before has ended well. */
  step(text: string): void;
  /** More about the present step. */
  update(text: string): void;
  /** The present step ended well. */
  done(text?: string): void;
  /** Something to know, on a line of its own. */
  note(text: string): void;
  fail(text: string): void;
}
