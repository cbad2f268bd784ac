// `data-state`: a form field shows a value of the session's state and asks to change it.
// While the user is at it, what comes back of earlier changes does not move the field under the hand.

import type { Clock } from "../environment.ts";
import { type Off, report } from "../events.ts";
import type { Signals } from "../signals.ts";
import type { KnownState } from "../state.ts";
import { type Field, held, isLive, remembered, showValue } from "./field.ts";
import { oncePerFrame } from "./frame.ts";

/** How long after it was moved a slider is taken to be dragged, and after a change its answer to be on its way. */
const DRAGGED = 1_000;
const ANSWERED = 300;
/** Changes of one name on their way; while the connection is lost a slider would fill the outbox. */
const ON_THEIR_WAY = 32;

export interface Binding {
  readonly signals: Signals;
  readonly known: KnownState;
  readonly clock: Clock;
  /** Counts the emitted signals of a name that the session has not accepted. */
  unaccepted(name: string): number;
}

export function bind(field: Field, binding: Binding): Off {
  const bound = new BoundField(field, binding);
  return () => bound.release();
}

class BoundField {
  readonly #field: Field;
  readonly #binding: Binding;
  readonly #name: string;
  readonly #showOriginal: () => void;
  readonly #offs: Off[];

  /** The session has told a value that is not shown yet. */
  #stale = false;
  /** The user changed the field since a value of the session was shown. */
  #edited = false;
  #inHandUntil = 0;
  #unsent = false;
  #callOff: Off = () => {};

  readonly #draw = oncePerFrame(() => this.#update());
  readonly #sendSoon = oncePerFrame(() => this.#send());

  constructor(field: Field, binding: Binding) {
    this.#field = field;
    this.#binding = binding;
    this.#name = `state:${field.dataset["state"]}`;
    this.#showOriginal = remembered(field);
    const listen = (event: string, action: () => void): Off => {
      field.addEventListener(event, action);
      return () => field.removeEventListener(event, action);
    };
    this.#offs = [
      binding.known.on(this.#name, () => this.#told()),
      listen("input", () => this.#moved()),
      listen("change", () => this.#changed()),
      listen("blur", () => this.#left()),
    ];
  }

  release(): void {
    this.#callOff();
    this.#stale = this.#unsent = false;
    for (const off of this.#offs) off();
  }

  #told(): void {
    this.#stale = true;
    this.#draw();
  }

  /** A slider is set while it moves; in another field an edit has begun, and its end will be a change or a blur. */
  #moved(): void {
    this.#edited = true;
    if (!isLive(this.#field)) {
      this.#inHandUntil = Number.POSITIVE_INFINITY;
      return;
    }
    this.#inHandUntil = this.#binding.clock.now() + DRAGGED;
    this.#unsent = true;
    this.#sendSoon();
  }

  #changed(): void {
    this.#edited = true;
    this.#inHandUntil = this.#binding.clock.now() + ANSWERED;
    if (!isLive(this.#field)) this.#unsent = true;
    this.#send();
    this.#draw();
  }

  #left(): void {
    if (this.#inHandUntil === Number.POSITIVE_INFINITY) this.#inHandUntil = this.#binding.clock.now();
    this.#draw();
  }

  #send(): void {
    if (!this.#unsent) return;
    if (this.#binding.unaccepted(this.#name) >= ON_THEIR_WAY) {
      this.#sendSoon();
      return;
    }
    this.#unsent = false;
    try {
      this.#binding.signals.emit(this.#name, held(this.#field));
    } catch (error) {
      report(`"${this.#name}" was not set:`, error);
    }
  }

  #update(): void {
    if (!this.#stale) return;
    if (this.#edited && this.#unsettled()) {
      this.#comeBack();
      return;
    }
    this.#stale = this.#edited = false;
    const value = this.#binding.known.get(this.#name);
    if (value === undefined) this.#showOriginal();
    else showValue(this.#field, value);
  }

  #unsettled(): boolean {
    const { known, clock } = this.#binding;
    return (
      clock.now() < this.#inHandUntil ||
      this.#unsent ||
      this.#binding.unaccepted(this.#name) > 0 ||
      // A handler decides about the value, and has not yet.
      known.get(`handling:${this.#name}`) !== undefined
    );
  }

  #comeBack(): void {
    const { clock } = this.#binding;
    this.#callOff();
    if (this.#inHandUntil === Number.POSITIVE_INFINITY) return;
    const left = Math.max(this.#inHandUntil - clock.now(), ANSWERED);
    this.#callOff = clock.after(left, this.#draw);
  }
}
