// What the page owes the session: when an acknowledgement of handled signals and state is due.
// Sans-IO, time is an argument. Knows no numbers and no messages.

import { LIMITS } from "./protocol.ts";

export class Owed {
  #signals = 0;
  #bytes = 0;
  #due: number | null = null;
  #state = false;

  /** When it is to be paid at the latest. */
  get due(): number | null {
    return this.#due;
  }

  /** A state message was handled: the session sends the next one when it knows. */
  get state(): boolean {
    return this.#state;
  }

  /** Notes handled signals; returns whether they are to be acknowledged without waiting for more. */
  signals(count: number, bytes: number, now: number): boolean {
    this.#signals += count;
    this.#bytes += bytes;
    this.again(now);
    return this.#signals >= LIMITS.ackSignals || this.#bytes >= LIMITS.ackBytes;
  }

  /** Notes a signal that was handled before: its acknowledgement may be lost. */
  again(now: number): void {
    this.#due ??= now + LIMITS.ackMilliseconds;
  }

  change(): void {
    this.#state = true;
  }

  settle(): void {
    this.#signals = this.#bytes = 0;
    this.#due = null;
    this.#state = false;
  }
}
