// How long to wait before the next attempt to connect. Pure: chance is an argument.

const FIRST = 100;
const LONGEST = 5_000;
const PROMPT_ATTEMPTS = 3;

export class Backoff {
  #attempts = 0;
  #prompt = 0;

  /** Milliseconds until the next attempt. At once is granted a few times in a row, not for ever. */
  next(atOnce: boolean, chance: number): number {
    if (atOnce && this.#prompt < PROMPT_ATTEMPTS) {
      this.#prompt += 1;
      return 0;
    }
    const longest = Math.min(LONGEST, FIRST * 2 ** this.#attempts);
    this.#attempts += 1;
    return longest * (0.5 + chance / 2);
  }

  /** The connection was of use, so the next one is tried as eagerly as the first. */
  progress(): void {
    this.#attempts = 0;
    this.#prompt = 0;
  }
}
