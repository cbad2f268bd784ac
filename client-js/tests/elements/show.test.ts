// @vitest-environment jsdom
import { beforeEach, describe, expect, test } from "vitest";
import { at, show } from "../../src/elements/show.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
beforeEach(() => {
  wires = new Wires();
});

function element(html: string): HTMLElement {
  document.body.innerHTML = html;
  const made = document.body.firstElementChild as HTMLElement;
  show(made, wires.signals);
  return made;
}

describe("data-signal", () => {
  test("shows what stands under a key, in the format that is asked for", async () => {
    const shown = element('<b data-signal="status:pi-estimate" data-format=".3f">?</b>');
    wires.deliver("status", { "pi-estimate": Math.PI });
    await nextFrame();
    expect(shown.textContent).toBe("3.142");
  });

  test("shows the whole payload without a key, the newest one of a frame", async () => {
    const shown = element('<b data-signal="draws"></b>');
    wires.deliver("draws", 10);
    wires.deliver("draws", 11);
    expect(shown.textContent).toBe("");
    await nextFrame();
    expect(shown.textContent).toBe("11");
  });

  test("stays as it is when the payload has no such key", async () => {
    const shown = element('<b data-signal="status:pi">?</b>');
    wires.deliver("status", { e: 2.7 });
    await nextFrame();
    expect(shown.textContent).toBe("?");
  });
});

describe("data-signal with a name of the state", () => {
  const VALUES = {
    "state:pi": { a: { b: [2.34567] } },
    "shared:visits": 12,
    "handling:run": { running: 1, waiting: 2, accepts: true },
    "handling:state:pi": { running: 7, waiting: 0, accepts: true },
    "progress:run": { done: 420, running: 8, failed: 0, total: 1000, rate: 48, remaining: 12, elapsed: 9 },
    "progress:state:pi": {
      done: 3,
      running: 1,
      failed: 0,
      total: null,
      rate: 1,
      remaining: null,
      elapsed: 3,
    },
  };

  test.each([
    ["state:pi", '{"a":{"b":[2.34567]}}'],
    ["state:pi:a.b.0", "2.35"],
    ["shared:visits", "12.00"],
    ["handling:run:waiting", "2.00"],
    ["handling:state:pi:running", "7.00"],
    ["progress:run:done", "420.00"],
    ["progress:state:pi:done", "3.00"],
  ])("%s shows %s", async (name, text) => {
    const shown = element(`<b data-signal="${name}" data-format=".2f"></b>`);
    wires.change(VALUES);
    await nextFrame();
    expect(shown.textContent).toBe(text);
  });

  test("shows what is known already", async () => {
    wires.change(VALUES);
    const shown = element('<b data-signal="shared:visits"></b>');
    await nextFrame();
    expect(shown.textContent).toBe("12");
  });

  test.each([
    ["state:n", "a name that is gone", () => wires.change({}, ["state:n"])],
    ["state:n:x", "a path that is gone", () => wires.change({ "state:n": { y: 2 } })],
  ])("%s shows what stood there before instead of %s", async (name, _, change) => {
    const shown = element(`<p data-signal="${name}">not <i>yet</i></p>`);
    wires.change({ "state:n": { x: 1 } });
    await nextFrame();
    expect(shown.innerHTML).toContain("1");
    change();
    await nextFrame();
    expect(shown.innerHTML).toBe("not <i>yet</i>");
  });

  test("is a signal like any other without a key of the state", async () => {
    const shown = element('<b data-signal="state"></b>');
    wires.deliver("state", "solid");
    await nextFrame();
    expect(shown.textContent).toBe("solid");
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
