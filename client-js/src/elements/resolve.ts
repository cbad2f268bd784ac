// From what an author calls an element to the element. Knows nothing of signals.

import { DatabenchError } from "../errors.ts";
import { report } from "../events.ts";

/** An element, a jQuery object, an id with or without `#`, or a CSS selector. */
export type Target = string | Element | ArrayLike<Element>;

/** Uses the element now, or once the page has been read when it is not there yet. */
export function withElement(target: Target, use: (element: HTMLElement) => void): void {
  const element = find(target);
  if (element) {
    use(element);
  } else if (typeof target === "string" && document.readyState === "loading") {
    whenReady(() => {
      const late = find(target);
      if (late) use(late);
      else report("an element is missing:", missing(target));
    });
  } else {
    throw missing(target);
  }
}

/** Calls back when the page has been read: now, or later. Returns what calls it off. */
export function whenReady(action: () => void): () => void {
  if (document.readyState !== "loading") {
    action();
    return () => {};
  }
  document.addEventListener("DOMContentLoaded", action, { once: true });
  return () => document.removeEventListener("DOMContentLoaded", action);
}

function find(target: Target): HTMLElement | null {
  if (target instanceof Element) return target as HTMLElement;
  if (typeof target !== "string") return (target?.[0] as HTMLElement | undefined) ?? null;
  return document.getElementById(target) ?? select(target);
}

function select(selector: string): HTMLElement | null {
  try {
    return document.querySelector<HTMLElement>(selector);
  } catch {
    return null;
  }
}

function missing(target: Target): DatabenchError {
  return new DatabenchError(
    typeof target === "string"
      ? `no element of this page has the id "${target.replace(/^#/, "")}" or matches "${target}"`
      : "an element was expected, but the jQuery object or list is empty: is the script above the element?",
  );
}
