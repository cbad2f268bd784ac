// The mpld3 canvas: draws figures of matplotlib, the newest only, and cleans up what mpld3 leaves behind.

import { DatabenchError } from "../errors.ts";
import { report } from "../events.ts";
import { oncePerFrame } from "./frame.ts";

interface Mpld3 {
  draw_figure(id: string, figure: unknown, process: undefined, clear: true): unknown;
  remove_figure(id: string): unknown;
}

/** mpld3 throws texts that quote its own source. */
const LONGEST_REASON = 120;

let canvases = 0;

/** Throws where the page did not load mpld3. */
export function requireMpld3(): Mpld3 {
  const { mpld3 } = globalThis as { mpld3?: Mpld3 };
  if (typeof mpld3?.draw_figure === "function") return mpld3;
  throw new DatabenchError(
    "mpld3canvas needs mpld3: load mpld3.min.js (and d3 version 5) before databench.js",
  );
}

export class FigureElement {
  readonly #element: HTMLElement;
  readonly #canvas = document.createElement("div");
  #styles: readonly Element[] = [];
  #newest: unknown = null;
  readonly #draw = oncePerFrame(() => this.#update());

  constructor(element: HTMLElement) {
    this.#element = element;
    element.classList.add("databench-figure");
    canvases += 1;
    this.#canvas.id = `databench-figure-${canvases}`;
    this.#canvas.className = "databench-canvas";
  }

  show(figure: unknown): void {
    this.#newest = figure;
    this.#draw();
  }

  #update(): void {
    const mpld3 = requireMpld3();
    const figure = this.#newest;
    this.#newest = null;
    if (this.#canvas.parentNode !== this.#element) this.#element.replaceChildren(this.#canvas);
    for (const style of this.#styles) style.remove();
    const before = new Set(document.head.querySelectorAll("style"));
    try {
      mpld3.draw_figure(this.#canvas.id, figure, undefined, true);
      for (const svg of this.#canvas.querySelectorAll("svg.mpld3-figure")) fitToWidth(svg as SVGSVGElement);
    } catch (error) {
      mpld3.remove_figure(this.#canvas.id);
      this.#explain(error);
    }
    this.#styles = [...document.head.querySelectorAll("style")].filter((style) => !before.has(style));
  }

  #explain(error: unknown): void {
    report("mpld3 cannot draw this figure:", error);
    const message = document.createElement("p");
    message.className = "databench-figure-error";
    const reason = error instanceof Error ? error.message : String(error);
    message.textContent = `This figure cannot be drawn: ${reason.slice(0, LONGEST_REASON)}`;
    this.#canvas.replaceChildren(message);
  }
}

function fitToWidth(svg: SVGSVGElement): void {
  const width = Number(svg.getAttribute("width"));
  const height = Number(svg.getAttribute("height"));
  if (!(width > 0 && height > 0)) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.width = "100%";
  svg.style.maxWidth = `${width}px`;
  svg.style.height = "auto";
}
