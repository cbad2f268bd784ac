// `data-progress`: an element shows how far the jobs of a signal are, a <progress> as a bar, any other one as text.
// Knows how both look, and what to take back; the numbers are those of a tally.

import type { Clock } from "../environment.ts";
import type { Off } from "../events.ts";
import { type KnownState, ReadableState } from "../state.ts";
import { oncePerFrame } from "./frame.ts";
import { endingOf, type Progress, progressOf, sentence, Tally } from "./tally.ts";

/** Readers of the screen are told of every change of the text. */
const BETWEEN_TEXTS = 500;

export interface ProgressSource {
  readonly known: KnownState;
  readonly clock: Clock;
}

/** Follows the jobs of this signal, or with `""` all that the page is told of; returns what ends it. */
export function showProgress(element: HTMLElement, signal: string, { known, clock }: ProgressSource): Off {
  const tally = new Tally();
  const jobs = new ReadableState("progress", known);
  const shown = element instanceof HTMLProgressElement ? new Bar(element) : new Sentence(element, clock);
  const update = () => {
    // A tab that is hidden draws nothing, and is to know all the same which job is over.
    tally.update(told(jobs, signal));
    shown.show(tally);
  };
  const unwatch = known.watch("progress", update);
  update();
  return () => {
    unwatch();
    shown.release();
  };
}

function told(jobs: ReadableState, signal: string): Map<string, Progress> {
  const names = jobs.keys().filter((name) => signal === "" || name === signal);
  return new Map(names.map((name) => [name, progressOf(jobs.get(name))]));
}

/** Stays as the jobs ended when they are over, until the next begins. */
class Bar {
  readonly #element: HTMLProgressElement;
  readonly #original: Attributes;
  #sum: Progress | null = null;
  #touched = false;
  readonly #draw = oncePerFrame(() => this.#update());

  constructor(element: HTMLProgressElement) {
    this.#element = element;
    this.#original = Object.fromEntries(ATTRIBUTES.map((name) => [name, element.getAttribute(name)]));
  }

  show(tally: Tally): void {
    this.#sum = tally.sum();
    if (this.#sum !== null || this.#touched) this.#draw();
  }

  release(): void {
    this.#sum = null;
    this.#update();
  }

  #update(): void {
    if (this.#sum !== null) this.#put({ ...this.#original, ...drawn(this.#sum) });
    else if (this.#touched) this.#put(this.#original);
    this.#touched = this.#sum !== null;
  }

  #put(attributes: Attributes): void {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null) this.#element.removeAttribute(name);
      else this.#element.setAttribute(name, value);
    }
  }
}

/** What a bar is drawn with. */
const ATTRIBUTES = ["max", "value", "data-ended", "aria-valuetext", "title"];
type Attributes = Record<string, string | null>;

function drawn(sum: Progress): Attributes {
  const bar = extent(sum);
  if (!sum.over) return bar;
  const ended = endingOf(sum);
  if (ended === "done") return { ...bar, "data-ended": ended };
  const text = sentence(sum);
  return { ...bar, "data-ended": ended, "aria-valuetext": text, title: text };
}

/** Without a value a bar is indeterminate; and a bar of nothing, which browsers do not know, is full. */
function extent({ done, total, over }: Progress): Attributes {
  if (total === null) return over ? { value: "0", max: "1" } : { value: null, max: null };
  if (total === 0) return { value: "1", max: "1" };
  return { value: String(Math.min(done, total)), max: String(total) };
}

/** Gives the element back to its author when all is done; how far the jobs came otherwise stays until the next begins. */
class Sentence {
  readonly #element: HTMLElement;
  readonly #clock: Clock;
  readonly #original: readonly Node[];
  readonly #gaveRole: boolean;
  #wanted: string | null = null;
  #shown: string | null = null;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #waits = false;
  #callOff: Off = () => {};
  readonly #draw = oncePerFrame(() => this.#update());

  constructor(element: HTMLElement, clock: Clock) {
    this.#element = element;
    this.#clock = clock;
    this.#original = [...element.childNodes];
    this.#gaveRole = !element.hasAttribute("role");
    if (this.#gaveRole) element.setAttribute("role", "status");
  }

  show(tally: Tally): void {
    const sum = tally.sum();
    this.#wanted = sum === null || (sum.over && endingOf(sum) === "done") ? null : sentence(sum);
    this.#draw();
  }

  release(): void {
    this.#callOff();
    this.#waits = false;
    this.#wanted = null;
    this.#put();
    if (this.#gaveRole) this.#element.removeAttribute("role");
  }

  #update(): void {
    if (this.#waits || this.#wanted === this.#shown) return;
    const left = this.#quietUntil - this.#clock.now();
    if (left > 0) {
      this.#waits = true;
      this.#callOff = this.#clock.after(left, () => {
        this.#waits = false;
        this.#draw();
      });
      return;
    }
    this.#quietUntil = this.#clock.now() + BETWEEN_TEXTS;
    this.#put();
  }

  #put(): void {
    if (this.#wanted === this.#shown) return;
    this.#shown = this.#wanted;
    if (this.#wanted === null) this.#element.replaceChildren(...this.#original);
    else this.#element.textContent = this.#wanted;
  }
}
