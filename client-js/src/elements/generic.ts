// `databench.genericElements`: one call puts an element of the page at the end of a signal.

import type { Signals } from "../signals.ts";
import { FigureElement, requireMpld3 } from "./figure.ts";
import { LOGGED, LogElement } from "./log.ts";
import { type ProgressSource, showProgress } from "./progress.ts";
import { type Target, withElement } from "./resolve.ts";

export interface GenericSource extends ProgressSource {
  readonly signals: Signals;
}

export class GenericElements {
  readonly #source: GenericSource;

  constructor(source: GenericSource) {
    this.#source = source;
  }

  /** Shows the last lines of the signals `log`, `warn` and `error`, or of those that are named. */
  log(target: Target, limit = 20, names: readonly string[] = LOGGED): void {
    withElement(target, (element) => new LogElement(element, limit).follow(this.#source.signals, names));
  }

  /** Draws every matplotlib figure that arrives as this signal. */
  mpld3canvas(target: Target, signalName = "mpld3canvas"): void {
    requireMpld3();
    withElement(target, (element) => {
      const canvas = new FigureElement(element);
      this.#source.signals.on(signalName, (figure) => canvas.show(figure));
    });
  }

  /** Shows how far the jobs of this signal are, or all jobs: a `<progress>` as a bar, another element as text. */
  progress(target: Target, signal = ""): void {
    withElement(target, (element) => showProgress(element, signal, this.#source));
  }
}
