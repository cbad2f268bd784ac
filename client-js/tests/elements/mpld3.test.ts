// @vitest-environment jsdom
import { resolve } from "node:path";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GenericElements } from "../../src/elements/generic.ts";
import figure from "../fixtures/figure.json" with { type: "json" };
import { MPLD3, mpld3Scripts, runScripts } from "../support/mpld3.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

interface D3 {
  version: string;
  select(node: Element): { on(name: string, handler: () => void): void };
}
const page = globalThis as unknown as { d3: D3; mpld3: { d3: D3; draw_figure(...args: unknown[]): unknown } };

// Continuous integration installs the package first, so there it must run.
const { CI } = process.env;
describe.skipIf(MPLD3 === null && !CI)("mpld3 as the Python package ships it", () => {
  beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(() => {});
    // jsdom lays nothing out, and mpld3 asks for the size of its labels.
    Object.assign(SVGElement.prototype, {
      getBBox: () => ({ x: 0, y: 0, width: 20, height: 10 }),
      getComputedTextLength: () => 20,
    });
    runScripts(...mpld3Scripts());
    await import("../../src/mpld3-d3.ts");
    runScripts(resolve(import.meta.dirname, "../../node_modules/d3/dist/d3.min.js"));
  });
  beforeEach(() => {
    document.body.innerHTML = '<div id="figure"></div>';
  });

  test("has d3 version 5 for itself, and the page has version 7", () => {
    expect(page.mpld3.d3.version).toMatch(/^5\./);
    expect(page.d3.version).toMatch(/^7\./);
  });

  test("draws with its own version, again and again, and leaves no more style elements each time", async () => {
    const wires = new Wires();
    new GenericElements(wires).mpld3canvas("figure");
    const styles: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      wires.deliver("mpld3canvas", figure);
      await nextFrame();
      styles.push(document.head.querySelectorAll("style").length);
    }
    expect(document.querySelectorAll("#figure svg.mpld3-figure .mpld3-xgrid line").length).toBeGreaterThan(3);
    expect(new Set(styles).size).toBe(1);
    expect(page.d3.version).toMatch(/^7\./);
  });

  test("sees its own version in the handlers of its events, and the page has version 7 again after them", () => {
    const versions: string[] = [];
    const element = document.querySelector("#figure") as HTMLElement;
    page.mpld3.d3.select(element).on("click", () => versions.push(page.d3.version));
    element.click();
    expect(versions).toEqual([expect.stringMatching(/^5\./)]);
    expect(page.d3.version).toMatch(/^7\./);
  });

  test("gives the page its version back when a drawing fails", () => {
    expect(() => page.mpld3.draw_figure("figure", { axes: [{}] }, undefined, true)).toThrow();
    expect(page.d3.version).toMatch(/^7\./);
  });
});
