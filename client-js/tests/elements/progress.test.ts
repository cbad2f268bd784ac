// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GenericElements } from "../../src/elements/generic.ts";
import { showProgress } from "../../src/elements/progress.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
let off: () => void;

beforeEach(() => {
  wires = new Wires();
  off = () => {};
});
afterEach(() => off());

function page<Kind extends HTMLElement>(html: string, signal = "run"): Kind {
  document.body.innerHTML = html;
  const element = document.body.firstElementChild as Kind;
  off = showProgress(element, signal, wires);
  return element;
}
/** The session tells of a job. */
function job(done: number, total: number | null, remaining: number | null = null, name = "run"): void {
  const value = { done, running: 1, failed: 0, total, rate: 1, remaining, elapsed: 1 };
  wires.change({ [`progress:${name}`]: value });
}
const over = (name = "run") => wires.change({}, [`progress:${name}`]);

describe("a bar", () => {
  const bar = (html = '<progress value="0"></progress>', signal = "run") =>
    page<HTMLProgressElement>(html, signal);
  const state = ({ value, max, position }: HTMLProgressElement) => (position < 0 ? null : [value, max]);

  test("shows how many of all are done", async () => {
    const shown = bar();
    job(420, 1000);
    await nextFrame();
    expect(state(shown)).toEqual([420, 1000]);
  });

  test("shows what is known already", async () => {
    job(3, 4);
    const shown = bar();
    await nextFrame();
    expect(state(shown)).toEqual([3, 4]);
  });

  test("is indeterminate while nobody knows how many there are", async () => {
    const shown = bar('<progress value="0" max="10"></progress>');
    job(420, null);
    await nextFrame();
    expect([state(shown), shown.outerHTML]).toEqual([null, "<progress></progress>"]);
    job(421, 500);
    await nextFrame();
    expect(state(shown)).toEqual([421, 500]);
  });

  test("is full when the job is over, however far it was told to be, until the next one begins", async () => {
    const shown = bar();
    for (const total of [1000, null, 0]) {
      job(0, total);
      await nextFrame();
      over();
      await nextFrame();
      expect(shown.position).toBe(1);
    }
    job(1, 8);
    await nextFrame();
    expect(state(shown)).toEqual([1, 8]);
  });

  test("is full after a job that was over before anything was drawn", async () => {
    const shown = bar();
    job(1, 8);
    over();
    await nextFrame();
    expect(shown.position).toBe(1);
  });

  test("is its author's until there is a job of its signal", async () => {
    const shown = bar('<progress max="7" value="2"></progress>');
    job(1, 8, null, "other");
    over("run");
    await nextFrame();
    expect(shown.outerHTML).toBe('<progress max="7" value="2"></progress>');
    shown.value = 3;
    over("other");
    await nextFrame();
    expect(state(shown)).toEqual([3, 7]);
  });

  test("without a signal adds up all jobs of the page, and is full when none is left", async () => {
    const shown = bar(undefined, "");
    job(1, 10, null, "run");
    job(5, 20, null, "state:x");
    await nextFrame();
    expect(state(shown)).toEqual([6, 30]);
    over("run");
    await nextFrame();
    expect(state(shown)).toEqual([15, 30]);
    over("state:x");
    await nextFrame();
    expect(state(shown)).toEqual([30, 30]);
  });

  test("may follow the jobs of a handler of state", async () => {
    const shown = bar(undefined, "state:x");
    job(1, 10, null, "run");
    job(5, 20, null, "state:x");
    await nextFrame();
    expect(state(shown)).toEqual([5, 20]);
  });

  test("is drawn once for all that came within a frame", async () => {
    const shown = bar();
    for (const done of [1, 2, 3]) job(done, 4);
    expect(shown.value).toBe(0);
    await nextFrame();
    expect(state(shown)).toEqual([3, 4]);
  });

  test("is given back to its author when the page is done", async () => {
    const shown = bar('<progress max="7"></progress>');
    job(1, 8);
    await nextFrame();
    job(2, 8);
    off();
    job(3, 8);
    await nextFrame();
    expect(shown.outerHTML).toBe('<progress max="7"></progress>');
  });
});

describe("a text", () => {
  const text = (html = "<p>not <i>yet</i></p>") => page<HTMLElement>(html);

  test("says how far the job is and what is left, and is its author's again at the end", async () => {
    const shown = text();
    job(420, 1000, 12);
    await nextFrame();
    expect(shown.textContent).toBe("420 of 1,000, about 12 s left");
    wires.clock.advance(500);
    over();
    await nextFrame();
    expect(shown.innerHTML).toBe("not <i>yet</i>");
  });

  test("changes twice a second at most, and shows the newest then", async () => {
    const shown = text();
    for (const done of [1, 2, 3]) {
      job(done, 9);
      await nextFrame();
      wires.clock.advance(100);
    }
    expect([shown.textContent, wires.clock.pending]).toEqual(["1 of 9", 1]);
    wires.clock.advance(200);
    await nextFrame();
    expect(shown.textContent).toBe("3 of 9");
  });

  test("is left alone while it says the same", async () => {
    const shown = text();
    job(1, 9, 5.1);
    await nextFrame();
    const node = shown.firstChild;
    wires.clock.advance(1_000);
    job(1, 9, 5.2);
    await nextFrame();
    expect([shown.firstChild === node, wires.clock.pending]).toEqual([true, 0]);
  });

  test.each([
    ["<p></p>", "status"],
    ['<p role="none"></p>', "none"],
    ['<p role=""></p>', ""],
  ])("in %s has the role %s", (html, role) => {
    const shown = text(html);
    expect(shown.getAttribute("role")).toBe(role);
    off();
    expect(shown.outerHTML).toBe(html);
  });

  test("is given back to its author when the page is done, with no time running", async () => {
    const shown = text();
    job(1, 9);
    await nextFrame();
    job(2, 9);
    await nextFrame();
    off();
    await nextFrame();
    expect([shown.outerHTML, wires.clock.pending]).toEqual(["<p>not <i>yet</i></p>", 0]);
  });
});

test("a script makes any element show progress, of one signal or of all", async () => {
  document.body.innerHTML = '<progress id="bar"></progress><p id="text"></p>';
  const elements = new GenericElements(wires);
  elements.progress("bar", "run");
  elements.progress("#text");
  job(1, 4);
  job(1, 6, null, "other");
  await nextFrame();
  expect(document.querySelector("progress")?.position).toBe(0.25);
  expect(document.querySelector("p")?.textContent).toBe("2 of 10");
});
