// Signals by name: who handles them, and those that nobody handles yet. Knows nothing of connections, and of state
// only that its names are not those of signals.

import { Handlers, type Off, report } from "./events.ts";
import { LIMITS, problemWithName } from "./protocol.ts";
import { isStateName, KnownState } from "./state.ts";
import { decodeValue, encodeValue } from "./values.ts";

/** Payloads are what the analysis sent; each handler knows its own. */
// biome-ignore lint/suspicious/noExplicitAny: authors write `function (msg) { msg['pi-estimate'] … }`
export type Payload = any;
export type SignalHandler = (payload: Payload, name: string) => void;

const EVERY = "*";
const UNCLAIMED_SIGNALS = 1_000;
const UNCLAIMED_BYTES = 16 * 1024 * 1024;

interface Unclaimed {
  readonly payload: Payload;
  readonly bytes: number;
}

export class Signals {
  readonly #send: (name: string, payload: Uint8Array) => void;
  readonly #observe: SignalHandler;
  readonly #state: KnownState;
  readonly #handlers = new Handlers<[Payload, string]>();
  readonly #unclaimed = new Map<string, Unclaimed[]>();
  readonly #warned = new Set<string>();
  #unclaimedBytes = 0;

  /** `observe` is shown every signal before its handlers, and does not count as one of them. */
  constructor(
    send: (name: string, payload: Uint8Array) => void,
    observe: SignalHandler = () => {},
    state = new KnownState(),
  ) {
    this.#send = send;
    this.#observe = observe;
    this.#state = state;
  }

  /**
   * Calls the handler for every signal of this name, `"*"` for all; returns what takes it off again.
   * A name of the state (`state:pi`) calls it with every value, soon with the one that is known; `"*"` is not told.
   */
  on(name: string, handler: SignalHandler): Off {
    if (isStateName(name)) return this.#state.on(name, handler);
    const off = this.#handlers.add(name, handler);
    if (this.#unclaimed.has(name)) queueMicrotask(() => this.#claim(name));
    return off;
  }

  off(name: string, handler?: SignalHandler): void {
    if (isStateName(name)) this.#state.off(name, handler);
    else this.#handlers.remove(name, handler);
  }

  /** Sends a signal to the analysis, now or as soon as the session is attached. */
  emit(name: string, payload: unknown = null): void {
    const problem = problemWithName(String(name));
    if (problem !== null) throw new TypeError(problem);
    const bytes = encodeValue(payload);
    if (bytes.byteLength > LIMITS.frameBytes - 1024) {
      throw new RangeError(`the payload of "${name}" is larger than ${LIMITS.frameBytes / 1024 ** 2} MiB`);
    }
    this.#send(String(name), bytes);
  }

  /** Hands a signal that was received to its handlers, or keeps it until there is one. */
  deliver(name: string, bytes: Uint8Array): void {
    let payload: Payload;
    try {
      payload = decodeValue(bytes);
    } catch (error) {
      report(`the payload of "${name}" cannot be read:`, error);
      return;
    }
    this.#observe(payload, name);
    if (name !== EVERY) this.#handlers.call(EVERY, payload, name);
    if (this.#handlers.has(name) && !this.#unclaimed.has(name)) this.#handlers.call(name, payload, name);
    else this.#keep(name, { payload, bytes: bytes.byteLength });
  }

  #keep(name: string, signal: Unclaimed): void {
    const kept = this.#unclaimed.get(name) ?? [];
    this.#unclaimed.set(name, kept);
    kept.push(signal);
    this.#unclaimedBytes += signal.bytes;
    while (kept.length > UNCLAIMED_SIGNALS || (this.#unclaimedBytes > UNCLAIMED_BYTES && kept.length > 0)) {
      this.#unclaimedBytes -= kept.shift()?.bytes ?? 0;
      this.#warnOnce(name);
    }
  }

  #warnOnce(name: string): void {
    if (this.#handlers.has(EVERY) || this.#warned.has(name)) return;
    this.#warned.add(name);
    console.warn(`Databench: nobody handles "${name}"; the oldest of these signals are forgotten`);
  }

  #claim(name: string): void {
    const kept = this.#unclaimed.get(name);
    if (!kept || !this.#handlers.has(name)) return;
    this.#unclaimed.delete(name);
    for (const { payload, bytes } of kept) {
      this.#unclaimedBytes -= bytes;
      this.#handlers.call(name, payload, name);
    }
  }
}
