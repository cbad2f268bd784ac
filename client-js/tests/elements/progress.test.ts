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
  tell(name, { done, failed: 0, total, remaining, over: false });
}
const over = (done: number, total: number | null, failed = 0, name = "run") =>
  tell(name, { done, failed, total, remaining: null, over: true });

function tell(name: string, told: object): void {
  wires.change({ [`progress:${name}`]: { running: 1, rate: 1, elapsed: 1, ...told } });
}

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

  test("is full when all of the job is done, until the next one begins", async () => {
    const shown = bar();
    for (const total of [1000, 0]) {
      job(0, total);
      await nextFrame();
      over(total, total);
      await nextFrame();
      expect([shown.position, shown.dataset["ended"]]).toEqual([1, "done"]);
    }
    job(1, 8);
    await nextFrame();
    expect(shown.outerHTML).toBe('<progress value="1" max="8"></progress>');
  });

  test.each([
    { total: 1000, failed: 1, at: [420, 1000], how: "failed", text: "ended after 420 of 1,000, 1 failed" },
    { total: 1000, failed: 0, at: [420, 1000], how: "cancelled", text: "cancelled after 420 of 1,000" },
    { total: null, failed: 0, at: [0, 1], how: "cancelled", text: "cancelled after 420 done" },
  ])(
    "stays where the job came to and says so when not all is done: $text",
    async ({ total, failed, at, how, text }) => {
      const shown = bar('<progress value="0" title="Draws"></progress>');
      job(1, 1000);
      await nextFrame();
      over(420, total, failed);
      await nextFrame();
      expect([state(shown), shown.dataset["ended"], shown.title]).toEqual([at, how, text]);
      expect(shown.getAttribute("aria-valuetext")).toBe(text);
      job(1, 8);
      await nextFrame();
      expect(shown.outerHTML).toBe('<progress value="1" title="Draws" max="8"></progress>');
    },
  );

  test("shows a job that was over before anything was drawn", async () => {
    const shown = bar();
    job(1, 8);
    over(8, 8);
    await nextFrame();
    expect(shown.position).toBe(1);
  });

  test("is its author's again when the session is another one", async () => {
    const shown = bar();
    over(1, 8);
    await nextFrame();
    wires.change({}, ["progress:run"]);
    await nextFrame();
    expect(shown.outerHTML).toBe('<progress value="0"></progress>');
  });

  test("is its author's until there is a job of its signal", async () => {
    const shown = bar('<progress max="7" value="2"></progress>');
    job(1, 8, null, "other");
    await nextFrame();
    expect(shown.outerHTML).toBe('<progress max="7" value="2"></progress>');
    shown.value = 3;
    over(8, 8, 0, "other");
    await nextFrame();
    expect(state(shown)).toEqual([3, 7]);
  });

  test("without a signal adds up all jobs of the page, and is full when none is left", async () => {
    const shown = bar(undefined, "");
    job(1, 10, null, "run");
    job(5, 20, null, "state:x");
    await nextFrame();
    expect(state(shown)).toEqual([6, 30]);
    over(10, 10, 0, "run");
    await nextFrame();
    expect(state(shown)).toEqual([15, 30]);
    over(20, 20, 0, "state:x");
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
    over(1000, 1000);
    await nextFrame();
    expect(shown.innerHTML).toBe("not <i>yet</i>");
  });

  test("says how far a job came that was cancelled or has failed, until the next begins", async () => {
    const shown = text();
    over(420, 1000);
    await nextFrame();
    expect(shown.textContent).toBe("cancelled after 420 of 1,000");
    wires.clock.advance(500);
    over(421, 1000, 1);
    await nextFrame();
    expect(shown.textContent).toBe("ended after 421 of 1,000, 1 failed");
    wires.clock.advance(500);
    job(1, 1000);
    await nextFrame();
    expect(shown.textContent).toBe("1 of 1,000");
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
