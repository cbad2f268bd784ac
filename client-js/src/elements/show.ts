// `data-signal`: an element shows the newest payload of a signal, or the value of a name of the state.

import type { Off } from "../events.ts";
import type { Signals } from "../signals.ts";
import { isStateName } from "../state.ts";
import { oncePerFrame } from "./frame.ts";
import { formatted } from "./text.ts";

/** A name, which for the state has a colon of its own, and after the next colon a path. */
const SHOWN =
  /^((?:(?:handling|progress):)?(?:state|shared):[^:]*|(?:handling|progress):[^:]*|[^:]*)(?::(.*))?$/s;

export function show(element: HTMLElement, signals: Signals): Off {
  const [, name = "", path] = SHOWN.exec(element.dataset["signal"] ?? "") ?? [];
  const stated = isStateName(name);
  const original = [...element.childNodes];
  let newest: unknown;
  const draw = oncePerFrame(() => {
    if (newest === undefined) element.replaceChildren(...original);
    else element.textContent = formatted(newest, element.dataset["format"]);
  });
  return signals.on(name, (payload: unknown) => {
    const value = path === undefined ? payload : at(payload, path);
    // A signal may leave out what another one said; what is not in the state does not exist.
    if (value === undefined && !stated) return;
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
