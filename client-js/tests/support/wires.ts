// What elements are wired to, with both ends in the test's hand.

import type { Binding } from "../../src/elements/bind.ts";
import { Signals } from "../../src/signals.ts";
import { KnownState } from "../../src/state.ts";
import { decodeValue, encodeValue } from "../../src/values.ts";
import { FakeClock } from "./browser.ts";

export class Wires implements Binding {
  readonly sent: [string, unknown][] = [];
  readonly known = new KnownState();
  readonly clock = new FakeClock();
  readonly signals = new Signals(
    (name, bytes) => {
      if (this.refuse) throw new Error("refused");
      this.sent.push([name, decodeValue(bytes)]);
      this.#unaccepted.push(name);
    },
    undefined,
    this.known,
  );
  refuse = false;
  #unaccepted: string[] = [];

  unaccepted(name: string): number {
    return this.#unaccepted.filter((other) => other === name).length;
  }

  /** The session accepts everything that was sent. */
  accept(): void {
    this.#unaccepted = [];
  }

  deliver(name: string, payload: unknown): void {
    this.signals.deliver(name, encodeValue(payload));
  }

  change(values: Record<string, unknown>, removed: string[] = []): void {
    this.known.apply(false, encodeValue([values, removed]));
  }
}
