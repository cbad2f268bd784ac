// Elements wired by attributes: `data-signal` shows, `data-emit` sends. No script of the author is needed.

import { type Off, report } from "../events.ts";
import type { Signals } from "../signals.ts";
import { oncePerFrame } from "./frame.ts";
import { whenReady } from "./resolve.ts";
import { formatted } from "./text.ts";

/** Wires the page once it has been read; returns what takes the wires off. */
export function wirePage(page: Document, signals: Signals): Off {
  const offs: Off[] = [];
  const click = (event: Event) => emitFrom(event, signals);
  page.addEventListener("click", click);
  offs.push(() => page.removeEventListener("click", click));
  const callOff = whenReady(() => {
    for (const element of page.querySelectorAll<HTMLElement>("[data-signal]"))
      offs.push(show(element, signals));
  });
  return () => {
    callOff();
    for (const off of offs) off();
  };
}

function show(element: HTMLElement, signals: Signals): Off {
  const [, name = "", path] = /^([^:]*)(?::(.*))?$/s.exec(element.dataset["signal"] ?? "") ?? [];
  let newest: unknown;
  const draw = oncePerFrame(() => {
    element.textContent = formatted(newest, element.dataset["format"]);
  });
  return signals.on(name, (payload: unknown) => {
    const value = path === undefined ? payload : at(payload, path);
    if (value === undefined) return;
    newest = value;
    draw();
  });
}

/** Looks up a key, or a path of keys and indices joined by dots; undefined where there is nothing. */
export function at(payload: unknown, path: string): unknown {
  const whole = own(payload, path);
  if (whole !== undefined) return whole;
  return path.split(".").reduce<unknown>(own, payload);
}

function own(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
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
