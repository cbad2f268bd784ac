// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { at, wirePage } from "../../src/elements/wire.ts";
import { Signals } from "../../src/signals.ts";
import { decodeValue, encodeValue } from "../../src/values.ts";
import { nextFrame, setReadyState } from "../support/page.ts";

let sent: [string, unknown][];
let signals: Signals;
let unwire: () => void;

beforeEach(() => {
  sent = [];
  signals = new Signals((name, bytes) => sent.push([name, decodeValue(bytes)]));
  unwire = () => {};
});
afterEach(() => {
  unwire();
  setReadyState(null);
});

function page(html: string): HTMLElement {
  document.body.innerHTML = html;
  unwire = wirePage(document, signals);
  return document.body.firstElementChild as HTMLElement;
}
const deliver = (name: string, payload: unknown) => signals.deliver(name, encodeValue(payload));

describe("data-signal", () => {
  test("shows what stands under a key, in the format that is asked for", async () => {
    const element = page('<b data-signal="status:pi-estimate" data-format=".3f">?</b>');
    deliver("status", { "pi-estimate": Math.PI });
    await nextFrame();
    expect(element.textContent).toBe("3.142");
  });

  test("shows the whole payload without a key", async () => {
    const element = page('<b data-signal="draws"></b>');
    deliver("draws", 10);
    deliver("draws", 11);
    await nextFrame();
    expect(element.textContent).toBe("11");
  });

  test("stays as it is when the payload has no such key", async () => {
    const element = page('<b data-signal="status:pi">?</b>');
    deliver("status", { e: 2.7 });
    await nextFrame();
    expect(element.textContent).toBe("?");
  });

  test("is wired once the page has been read, and misses nothing", async () => {
    setReadyState("loading");
    document.body.innerHTML = "";
    unwire = wirePage(document, signals);
    deliver("draws", 5);
    document.body.innerHTML = '<b data-signal="draws"></b>';
    document.dispatchEvent(new Event("DOMContentLoaded"));
    await Promise.resolve();
    await nextFrame();
    expect(document.querySelector("b")?.textContent).toBe("5");
  });
});

test("a path leads through keys and indices, a key with dots comes first", () => {
  expect(at({ a: [{ b: 1 }] }, "a.0.b")).toBe(1);
  expect(at({ "a.b": 1, a: { b: 2 } }, "a.b")).toBe(1);
  expect(at({ x: Float64Array.of(5, 6) }, "x.1")).toBe(6);
  expect(at({ a: 1 }, "a.b.c")).toBeUndefined();
  expect(at({}, "constructor.name")).toBeUndefined();
  expect(at(null, "a")).toBeUndefined();
});

describe("data-emit", () => {
  test("emits with its payload, also when something inside the button is clicked", () => {
    const button = page(`<button data-emit="run" data-payload='{"a":1}'><i>go</i></button>`);
    button.querySelector("i")?.click();
    expect(sent).toEqual([["run", { a: 1 }]]);
  });

  test("emits null without a payload, and works for buttons that come later", () => {
    page("<p></p>");
    document.body.innerHTML = '<form><button data-emit="stop">stop</button></form>';
    document.querySelector("button")?.click();
    expect(sent).toEqual([["stop", null]]);
  });

  test("reports a payload that is no JSON", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    page(`<button data-emit="run" data-payload="{a}">go</button>`).click();
    expect([sent, error.mock.calls.length]).toEqual([[], 1]);
  });

  test("is silent after the wires were taken off", () => {
    const button = page('<button data-emit="run">go</button>');
    unwire();
    button.click();
    expect(sent).toEqual([]);
  });
});
