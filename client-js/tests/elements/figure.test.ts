// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GenericElements } from "../../src/elements/generic.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
let drawn: unknown[];

/** Leaves behind what mpld3 leaves behind: a style element per draw, and half a figure when it fails. */
const fake = {
  draw_figure(id: string, figure: { title?: string }, _: undefined, clear: boolean) {
    const container = document.getElementById(id) as HTMLElement;
    if (clear) container.replaceChildren();
    document.head.append(document.createElement("style"));
    if (figure.title === undefined) throw "figures need a title";
    container.innerHTML = `<div><svg class="mpld3-figure" width="640" height="480"></svg></div>`;
    drawn.push(figure.title);
  },
  remove_figure(id: string) {
    document.getElementById(id)?.replaceChildren();
  },
};

beforeEach(() => {
  document.head.innerHTML = "<style>body {}</style>";
  document.body.innerHTML = '<p id="figure">soon</p>';
  drawn = [];
  vi.stubGlobal("mpld3", fake);
  wires = new Wires();
});
afterEach(() => vi.unstubAllGlobals());

const deliver = (payload: unknown) => wires.deliver("mpld3canvas", payload);
const host = () => document.querySelector("#figure") as HTMLElement;

describe("the mpld3 canvas", () => {
  beforeEach(() => new GenericElements(wires).mpld3canvas("figure"));

  test("draws the newest of the figures that arrive within one frame", async () => {
    for (const title of ["one", "two", "three"]) deliver({ title });
    await nextFrame();
    expect(drawn).toEqual(["three"]);
    deliver({ title: "four" });
    await nextFrame();
    expect(drawn).toEqual(["three", "four"]);
  });

  test("takes the place of what the element held, on a white card", async () => {
    deliver({ title: "one" });
    await nextFrame();
    expect(host().textContent).not.toContain("soon");
    expect(host().classList.contains("databench-figure")).toBe(true);
    expect(host().querySelector("svg")?.parentElement?.parentElement?.id).toMatch(/^databench-figure-\d+$/);
  });

  test("scales the drawing to the width there is, and not beyond its own", async () => {
    deliver({ title: "one" });
    await nextFrame();
    const svg = host().querySelector("svg") as SVGSVGElement;
    expect(svg.getAttribute("viewBox")).toBe("0 0 640 480");
    expect(svg.style.cssText).toBe("width: 100%; max-width: 640px; height: auto;");
  });

  test("keeps no style elements of earlier drawings, and leaves those of the page", async () => {
    for (let count = 0; count < 10; count += 1) {
      deliver({ title: "again" });
      await nextFrame();
    }
    expect(document.head.querySelectorAll("style")).toHaveLength(2);
  });

  test("says when a figure cannot be drawn, and draws the next one", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    deliver({});
    await nextFrame();
    expect(host().textContent).toBe("This figure cannot be drawn: figures need a title");
    expect(error).toHaveBeenCalledOnce();
    deliver({ title: "next" });
    await nextFrame();
    expect([drawn, host().textContent]).toEqual([["next"], ""]);
  });
});

test("a canvas can follow any signal, and a page has several", async () => {
  document.body.innerHTML = '<div id="a"></div><div id="b"></div>';
  const elements = new GenericElements(wires);
  elements.mpld3canvas("a");
  elements.mpld3canvas("b", "other");
  deliver({ title: "one" });
  wires.deliver("other", { title: "two" });
  await nextFrame();
  expect(drawn).toEqual(["one", "two"]);
  expect(document.querySelectorAll("svg")).toHaveLength(2);
});

test("a page without mpld3 is told what to load", () => {
  vi.stubGlobal("mpld3", undefined);
  expect(() => new GenericElements(wires).mpld3canvas("figure")).toThrow(/load mpld3.min.js/);
});
