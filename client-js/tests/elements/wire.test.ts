// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { wirePage } from "../../src/elements/wire.ts";
import { nextFrame, setReadyState } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
let unwire: () => void;

beforeEach(() => {
  wires = new Wires();
  unwire = () => {};
});
afterEach(() => {
  unwire();
  setReadyState(null);
});

function page(html: string): HTMLElement {
  document.body.innerHTML = html;
  unwire = wirePage(document, wires);
  return document.body.firstElementChild as HTMLElement;
}

describe("the attributes of a page", () => {
  test("are wired once the page has been read, and miss nothing", async () => {
    setReadyState("loading");
    document.body.innerHTML = "";
    unwire = wirePage(document, wires);
    wires.deliver("draws", 5);
    wires.change({
      "state:n": 3,
      "handling:run": { running: 1, waiting: 0, accepts: true },
      "progress:run": { done: 1, total: 4 },
    });
    document.body.innerHTML =
      '<b data-signal="draws"></b><input data-state="n"><button data-emit="run">go</button>' +
      '<progress data-progress="run"></progress><p data-progress></p>';
    document.dispatchEvent(new Event("DOMContentLoaded"));
    await Promise.resolve();
    await nextFrame();
    expect(document.querySelector("b")?.textContent).toBe("5");
    expect(document.querySelector("input")?.value).toBe("3");
    expect(document.querySelector("button")?.getAttribute("aria-busy")).toBe("true");
    expect(document.querySelector("progress")?.position).toBe(0.25);
    expect(document.querySelector("p")?.textContent).toBe("1 of 4");
  });

  test("do nothing any more when the wires are off", async () => {
    const html =
      '<b data-signal="draws">?</b><input data-state="n" value="0"><button data-emit="run">go</button>' +
      '<progress data-progress="run"></progress><p data-progress="">idle</p>';
    page(html);
    unwire();
    wires.deliver("draws", 5);
    wires.change({
      "state:n": 3,
      "handling:run": { running: 1, waiting: 0, accepts: true },
      "progress:run": { done: 1, total: 4 },
    });
    document.querySelector("input")?.dispatchEvent(new Event("change"));
    document.querySelector("button")?.click();
    await nextFrame();
    expect(document.body.innerHTML).toBe(html);
    expect(document.querySelector("input")?.value).toBe("0");
    expect(wires.sent).toEqual([]);
  });
});

describe("data-emit", () => {
  test("emits with its payload, also when something inside the button is clicked", () => {
    const button = page(`<button data-emit="run" data-payload='{"a":1}'><i>go</i></button>`);
    button.querySelector("i")?.click();
    expect(wires.sent).toEqual([["run", { a: 1 }]]);
  });

  test("emits null without a payload, and works for buttons that come later", () => {
    page("<p></p>");
    document.body.innerHTML = '<form><button data-emit="stop">stop</button></form>';
    document.querySelector("button")?.click();
    expect(wires.sent).toEqual([["stop", null]]);
  });

  test("reports a payload that is no JSON", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    page(`<button data-emit="run" data-payload="{a}">go</button>`).click();
    expect([wires.sent, error.mock.calls.length]).toEqual([[], 1]);
  });
});
