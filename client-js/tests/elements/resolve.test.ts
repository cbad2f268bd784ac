// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Target, withElement } from "../../src/elements/resolve.ts";
import { setReadyState } from "../support/page.ts";

beforeEach(() => {
  document.body.innerHTML = '<div id="log" class="wide"></div><div id="a.b"></div>';
});
afterEach(() => setReadyState(null));

function found(target: Target): Element | undefined {
  const use = vi.fn();
  withElement(target, use);
  return use.mock.calls[0]?.[0];
}

test("an element is found by id, by selector, as itself and in a jQuery object", () => {
  const log = document.querySelector(".wide") as HTMLElement;
  for (const target of ["log", "#log", "div.wide", log, [log], { 0: log, length: 1 }]) {
    expect(found(target)).toBe(log);
  }
});

test("an id that is no selector is found all the same", () => {
  expect(found("a.b")?.id).toBe("a.b");
});

test("what is not found is named", () => {
  expect(() => found("#plot")).toThrow('no element of this page has the id "plot" or matches "#plot"');
  expect(() => found("3)(")).toThrow('"3)("');
  expect(() => found([])).toThrow("the jQuery object or list is empty");
  expect(() => found(undefined as never)).toThrow("empty");
});

test("while the page is still read, an element may come later", () => {
  setReadyState("loading");
  const use = vi.fn();
  withElement("late", use);
  document.body.innerHTML = '<p id="late"></p>';
  setReadyState("interactive");
  document.dispatchEvent(new Event("DOMContentLoaded"));
  expect(use).toHaveBeenCalledWith(document.getElementById("late"));
});

test("an element that never comes is reported", () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  setReadyState("loading");
  withElement("never", vi.fn());
  document.dispatchEvent(new Event("DOMContentLoaded"));
  expect(error).toHaveBeenCalledOnce();
});
