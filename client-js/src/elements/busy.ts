// Elements that show that their signal is being handled: `aria-busy`, and `disabled` while one more would be refused.
// Knows which attributes say so and what it changed itself; what the author set stays.

import type { Off } from "../events.ts";
import type { KnownState } from "../state.ts";
import { oncePerFrame } from "./frame.ts";

type Control = HTMLElement & { disabled: boolean };

/** Keeps all elements of the page up to date, those that come later from the next change on. */
export function showHandling(page: Document, known: KnownState): Off {
  const touched = new Map<HTMLElement, Busy>();
  let over = false;
  const draw = oncePerFrame(() => {
    if (over) return;
    const present = page.querySelectorAll<HTMLElement>("[data-emit], [data-handling]");
    for (const element of new Set([...present, ...touched.keys()])) {
      const busy = touched.get(element) ?? new Busy(element);
      const { handled, blocked } = wanted(element, known);
      if (busy.show(handled, blocked)) touched.set(element, busy);
      else touched.delete(element);
    }
  });
  const unwatch = known.watch("handling", draw);
  draw();
  return () => {
    over = true;
    unwatch();
    for (const busy of touched.values()) busy.show(false, false);
  };
}

function wanted({ dataset }: HTMLElement, known: KnownState): { handled: boolean; blocked: boolean } {
  const value = known.get(`handling:${dataset["handling"] ?? dataset["emit"]}`);
  const policy = dataset["busy"];
  const handled = value !== undefined && policy !== "ignore";
  const blocked =
    handled && dataset["emit"] !== undefined && (policy === "disable" || value?.accepts === false);
  return { handled, blocked };
}

class Busy {
  readonly #element: HTMLElement;
  #marked = false;
  #disabled = false;
  #hadFocus = false;

  constructor(element: HTMLElement) {
    this.#element = element;
  }

  /** Returns whether anything of it is left to be taken back. */
  show(handled: boolean, blocked: boolean): boolean {
    this.#mark(handled);
    if (isControl(this.#element)) this.#disable(this.#element, blocked);
    return this.#marked || this.#disabled;
  }

  #mark(handled: boolean): void {
    if (handled && !this.#element.hasAttribute("aria-busy")) {
      this.#element.setAttribute("aria-busy", "true");
      this.#marked = true;
    } else if (!handled && this.#marked) {
      this.#element.removeAttribute("aria-busy");
      this.#marked = false;
    }
  }

  #disable(control: Control, blocked: boolean): void {
    const { ownerDocument: page } = control;
    if (blocked && !control.disabled) {
      this.#hadFocus = page.activeElement === control;
      control.disabled = true;
      this.#disabled = true;
    } else if (!blocked && this.#disabled) {
      control.disabled = false;
      this.#disabled = false;
      // A browser takes the focus from what is disabled, some of them at once, and gives it to nobody.
      const nobody = [null, page.body, control].includes(page.activeElement as HTMLElement | null);
      if (this.#hadFocus && nobody) control.focus({ preventScroll: true });
    }
  }
}

function isControl(element: HTMLElement): element is Control {
  return typeof (element as Partial<Control>).disabled === "boolean";
}
