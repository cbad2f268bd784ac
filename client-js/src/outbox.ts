// The numbers of what the page emits: what the session has not accepted, and what of it to send (again).
// Sans-IO. Knows nothing of sessions, nor of what comes from them.

import { OutboxFullError } from "./errors.ts";
import { encode, LIMITS } from "./protocol.ts";

interface Pending {
  readonly name: string;
  readonly payload: Uint8Array;
}

export class Outbox {
  #pending: Pending[] = [];
  /** Of their payloads. */
  #bytes = 0;
  /** The number of the last signal that the session accepted; the first one pending has the next number. */
  #accepted = 0;
  /** How many of those pending went out on this connection. */
  #sent = 0;

  get size(): number {
    return this.#pending.length;
  }

  /** Counts those of one name. */
  count(name: string): number {
    return this.#pending.reduce((count, pending) => count + (pending.name === name ? 1 : 0), 0);
  }

  add(name: string, payload: Uint8Array): void {
    const signals = this.#pending.length;
    const bytes = this.#bytes + payload.byteLength;
    if (signals >= LIMITS.outboxSignals || bytes > LIMITS.outboxBytes) {
      const kilobytes = Math.round(this.#bytes / 1024);
      throw new OutboxFullError(
        `${signals} signals (${kilobytes} kB) wait for the server's acknowledgement; "${name}" was not emitted`,
      );
    }
    this.#pending.push({ name, payload });
    this.#bytes = bytes;
  }

  /** Returns the messages that did not go out on this connection yet, and counts them as sent. */
  send(): Uint8Array[] {
    const first = this.#accepted + this.#sent + 1;
    const messages = this.#pending
      .slice(this.#sent)
      .map((pending, index) => encode({ tag: "signal", seq: first + index, ...pending }));
    this.#sent = this.#pending.length;
    return messages;
  }

  /** Forgets what was accepted on this connection; returns whether it was sent at all. */
  accept(seq: number): boolean {
    const taken = seq - this.#accepted;
    if (taken > this.#sent) return false;
    if (taken > 0) {
      this.#forget(taken);
      this.#sent -= taken;
    }
    return true;
  }

  /** All goes out again on the next connection. */
  disconnected(): void {
    this.#sent = 0;
  }

  /** Goes on where the session says it got to; returns whether that can be. */
  resume(received: number): boolean {
    const taken = received - this.#accepted;
    if (taken < 0 || taken > this.#pending.length) return false;
    this.#forget(taken);
    return true;
  }

  /** What is pending belongs to a session that counts from here. */
  restart(received: number): void {
    this.#accepted = received;
  }

  /** Forgets everything, and returns how much that was. */
  drop(): number {
    this.#sent = 0;
    this.#bytes = 0;
    return this.#pending.splice(0).length;
  }

  #forget(count: number): void {
    for (const { payload } of this.#pending.splice(0, count)) this.#bytes -= payload.byteLength;
    this.#accepted += count;
  }
}
