// `databench.genericElements`: one call puts an element of the page at the end of a signal.

import type { Signals } from "../signals.ts";
import { FigureElement, requireMpld3 } from "./figure.ts";
import { LOGGED, LogElement } from "./log.ts";
import { type Target, withElement } from "./resolve.ts";

export class GenericElements {
  readonly #signals: Signals;

  constructor(signals: Signals) {
    this.#signals = signals;
  }

  /** Shows the last lines of the signals `log`, `warn` and `error`, or of those that are named. */
  log(target: Target, limit = 20, names: readonly string[] = LOGGED): void {
    withElement(target, (element) => new LogElement(element, limit).follow(this.#signals, names));
  }

  /** Draws every matplotlib figure that arrives as this signal. */
  mpld3canvas(target: Target, signalName = "mpld3canvas"): void {
    requireMpld3();
    withElement(target, (element) => {
      const canvas = new FigureElement(element);
      this.#signals.on(signalName, (figure) => canvas.show(figure));
    });
  }
}
