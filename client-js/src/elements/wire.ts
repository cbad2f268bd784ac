// Elements wired by attributes: `data-signal` and `data-progress` show, `data-emit` sends, `data-state` does both,
// `data-handling` waits. No script of the author is needed. Knows which elements, not what becomes of them.

import { type Off, report } from "../events.ts";
import type { Signals } from "../signals.ts";
import { type Binding, bind } from "./bind.ts";
import { showHandling } from "./busy.ts";
import { FIELDS, type Field } from "./field.ts";
import { showProgress } from "./progress.ts";
import { whenReady } from "./resolve.ts";
import { show } from "./show.ts";

/** Wires the page once it has been read; returns what takes the wires off. */
export function wirePage(page: Document, binding: Binding): Off {
  const { signals, known } = binding;
  const click = (event: Event) => emitFrom(event, signals);
  page.addEventListener("click", click);
  const offs: Off[] = [() => page.removeEventListener("click", click)];
  const callOff = whenReady(() => {
    for (const element of page.querySelectorAll<HTMLElement>("[data-signal]")) {
      offs.push(show(element, signals));
    }
    for (const field of page.querySelectorAll<Field>(`:is(${FIELDS})[data-state]`)) {
      offs.push(bind(field, binding));
    }
    for (const element of page.querySelectorAll<HTMLElement>("[data-progress]")) {
      offs.push(showProgress(element, element.dataset["progress"] ?? "", binding));
    }
    offs.push(showHandling(page, known));
  });
  return () => {
    callOff();
    for (const off of offs) off();
  };
}

function emitFrom(event: Event, signals: Signals): void {
  const source = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-emit]") : null;
  const name = source?.dataset["emit"];
  if (!source || !name) return;
  event.preventDefault();
  try {
    const payload = source.dataset["payload"];
    signals.emit(name, payload === undefined ? null : JSON.parse(payload));
  } catch (error) {
    report(`"${name}" was not emitted:`, error);
  }
}
