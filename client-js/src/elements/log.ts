// The log element: the last lines of what the analysis logs, warns and fails with.

import type { Signals } from "../signals.ts";
import { oncePerFrame } from "./frame.ts";
import { compact } from "./text.ts";

export const LOGGED = ["log", "warn", "error"] as const;

interface Line {
  readonly name: string;
  readonly payload: unknown;
}

export class LogElement {
  readonly #element: HTMLElement;
  readonly #limit: number;
  /** What came since the last drawing, and no more of it than will be shown: a hidden tab draws nothing. */
  #waiting: Line[] = [];
  #shown: HTMLElement[] | null = null;
  readonly #draw = oncePerFrame(() => this.#update());

  constructor(element: HTMLElement, limit: number) {
    this.#element = element;
    this.#limit = Math.max(1, limit);
    element.classList.add("databench-log");
    if (!element.hasAttribute("role")) element.setAttribute("role", "log");
  }

  follow(signals: Signals, names: readonly string[]): void {
    for (const name of names) signals.on(name, (payload) => this.add(name, payload));
  }

  add(name: string, payload: unknown): void {
    this.#waiting.push({ name, payload });
    if (this.#waiting.length > this.#limit) this.#waiting.shift();
    this.#draw();
  }

  #update(): void {
    const element = this.#element;
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 4;
    const lines = this.#waiting.splice(0).map((line) => this.#lineOf(line));
    if (this.#shown === null) element.replaceChildren();
    this.#shown = [...(this.#shown ?? []), ...lines];
    for (const old of this.#shown.splice(0, Math.max(0, this.#shown.length - this.#limit))) old.remove();
    // Only what is new is put in, so that readers of the screen are not told the rest again.
    element.append(...lines);
    if (atEnd) element.scrollTop = element.scrollHeight;
  }

  #lineOf({ name, payload }: Line): HTMLElement {
    const line = document.createElement(/^[OU]L$/.test(this.#element.tagName) ? "li" : "span");
    line.className = name === "log" ? "databench-line" : `databench-line databench-${name}`;
    line.textContent = `${sentence(payload)}\n`;
    return line;
  }
}

/** The session's own `error` and `warn` name the signal and say what happened; the rest is the author's. */
function sentence(payload: unknown): string {
  if (typeof payload !== "object" || payload === null) return compact(payload);
  const { signal, type, message, traceback } = payload as Record<string, unknown>;
  if (typeof signal !== "string" || typeof message !== "string") return compact(payload);
  const kind = typeof type === "string" ? `${type}: ` : "";
  return `${signal}: ${kind}${message}${typeof traceback === "string" ? `\n${traceback.trimEnd()}` : ""}`;
}
