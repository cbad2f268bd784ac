// @vitest-environment jsdom
import { beforeEach, describe, expect, test, vi } from "vitest";
import { GenericElements } from "../../src/elements/generic.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
let log: HTMLElement;

beforeEach(() => {
  document.body.innerHTML = '<pre id="log"></pre><ol id="list"></ol>';
  log = document.querySelector("pre") as HTMLElement;
  wires = new Wires();
});

const deliver = (name: string, payload: unknown) => wires.deliver(name, payload);
const lines = (element = log) => Array.from(element.children, (line) => line.textContent?.trimEnd());

describe("the log element", () => {
  beforeEach(() => new GenericElements(wires).log("log", 3));

  test("shows the newest lines last, and no more than its limit", async () => {
    for (const line of ["one", "two", "three", "four"]) deliver("log", line);
    await nextFrame();
    expect(lines()).toEqual(["two", "three", "four"]);
  });

  test("puts in what is new and leaves the lines that stay", async () => {
    for (const line of ["one", "two", "three"]) deliver("log", line);
    expect(lines()).toEqual([]);
    await nextFrame();
    const [, second, third] = log.children;
    deliver("log", "four");
    await nextFrame();
    expect(lines()).toEqual(["two", "three", "four"]);
    expect([log.children[0], log.children[1]]).toEqual([second, third]);
  });

  test("makes a line of what it shows only, however much comes before it can draw", async () => {
    const made = vi.spyOn(document, "createElement");
    for (let line = 0; line < 10_000; line += 1) deliver("log", line);
    await nextFrame();
    expect(lines()).toEqual(["9997", "9998", "9999"]);
    expect(made).toHaveBeenCalledTimes(3);
  });

  test("shows objects as compact JSON and abbreviates arrays", async () => {
    deliver("log", { a: [1, null, "x"], b: Float64Array.of(1, 2, 3, 4) });
    await nextFrame();
    expect(lines()).toEqual(['{"a":[1,null,"x"],"b":Float64Array(4) [1,2,3,…]}']);
  });

  test("marks warnings and errors, and says what happened", async () => {
    deliver("warn", { signal: "rum", message: "nobody handles this" });
    deliver("error", {
      signal: "run",
      type: "ValueError",
      message: "too few",
      traceback: "line 1\nline 2\n",
    });
    await nextFrame();
    expect(lines()).toEqual(["rum: nobody handles this", "run: ValueError: too few\nline 1\nline 2"]);
    expect(Array.from(log.children, ({ className }) => className)).toEqual([
      "databench-line databench-warn",
      "databench-line databench-error",
    ]);
  });

  test("shows text as text, never as markup", async () => {
    deliver("log", "<b>bold</b>");
    await nextFrame();
    expect(log.querySelector("b")).toBeNull();
    expect(lines()).toEqual(["<b>bold</b>"]);
  });
});

test("a list gets items, and any signals can be named", async () => {
  const list = document.querySelector("ol") as HTMLElement;
  new GenericElements(wires).log(list, 20, ["status"]);
  deliver("status", 1);
  deliver("log", 2);
  await nextFrame();
  expect([lines(list), list.firstElementChild?.tagName]).toEqual([["1"], "LI"]);
});
