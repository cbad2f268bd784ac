// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bind } from "../../src/elements/bind.ts";
import type { Field } from "../../src/elements/field.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
let off: () => void;

beforeEach(() => {
  wires = new Wires();
  off = () => {};
});
afterEach(() => off());

function field<F extends Field = HTMLInputElement>(html: string): F {
  document.body.innerHTML = html;
  const made = document.body.firstElementChild as F;
  off = bind(made, wires);
  return made;
}

/** The user does something to the field. */
function user(target: Field, value: string | boolean, ...events: ("input" | "change")[]): void {
  if (typeof value === "string") target.value = value;
  else (target as HTMLInputElement).checked = value;
  for (const event of events) target.dispatchEvent(new Event(event, { bubbles: true }));
}

async function told(value: unknown): Promise<void> {
  wires.change({ "state:x": value });
  await nextFrame();
}

/** Time passes, and what is due then is drawn. */
async function pass(milliseconds: number): Promise<void> {
  wires.clock.advance(milliseconds);
  await nextFrame();
}

const SELECT = '<select data-state="x"><option>a</option><option selected>b</option></select>';

describe("a field", () => {
  test.each<[string, unknown, string]>([
    ['<input data-state="x">', "text", "text"],
    ['<input data-state="x" type="number">', 12.5, "12.5"],
    ['<input data-state="x" type="range" max="1000">', 500, "500"],
    ['<textarea data-state="x"></textarea>', "a\nb", "a\nb"],
    [SELECT, "a", "a"],
    ['<input data-state="x">', 3, "3"],
    ['<input data-state="x" value="old">', null, ""],
    ['<input data-state="x">', [1, 2], "[1,2]"],
  ])("%s shows %s", async (html, value, shown) => {
    const made = field<Field>(html);
    await told(value);
    expect(made.value).toBe(shown);
    expect(wires.sent).toEqual([]);
  });

  test("that is a checkbox or one of several choices shows whether it is chosen", async () => {
    const box = field('<input data-state="x" type="checkbox">');
    await told(true);
    expect(box.checked).toBe(true);
    const choice = field('<input data-state="x" type="radio" value="2" checked>');
    await told(1);
    expect(choice.checked).toBe(false);
    await told(2);
    expect(choice.checked).toBe(true);
  });

  test.each<[string, string | boolean, unknown]>([
    ['<input data-state="x">', "text", "text"],
    ['<input data-state="x" type="number">', "12.5", 12.5],
    ['<input data-state="x" type="number" value="1">', "", null],
    ['<input data-state="x" type="checkbox">', true, true],
    ['<input data-state="x" type="radio" value="2">', true, "2"],
    ['<textarea data-state="x"></textarea>', "a\nb", "a\nb"],
    [SELECT, "a", "a"],
  ])("%s sets the state when it is changed to %s", (html, to, value) => {
    const made = field<Field>(html);
    user(made, to, "input");
    expect(wires.sent).toEqual([]);
    user(made, to, "change");
    expect(wires.sent).toEqual([["state:x", value]]);
  });

  test.each<[string, unknown, (made: Field) => unknown]>([
    ['<input data-state="x" value="none">', "text", ({ value }) => value === "none"],
    [SELECT, "a", ({ value }) => value === "b"],
    ['<input data-state="x" type="checkbox" checked>', false, (made) => (made as HTMLInputElement).checked],
  ])("%s shows again what it showed first when the name is gone", async (html, value, original) => {
    const made = field<Field>(html);
    await told(value);
    expect(original(made)).toBe(false);
    wires.change({}, ["state:x"]);
    await nextFrame();
    expect(original(made)).toBe(true);
  });

  test("shows what is known already, and only what is newest in a frame", async () => {
    wires.change({ "state:x": 1 });
    const made = field('<input data-state="x">');
    await nextFrame();
    expect(made.value).toBe("1");
    wires.change({ "state:x": 2 });
    wires.change({ "state:x": 3 });
    expect(made.value).toBe("1");
    await nextFrame();
    expect(made.value).toBe("3");
  });

  test("that cannot be set reports it", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    wires.refuse = true;
    user(field('<input data-state="x">'), "a", "input", "change");
    expect(error).toHaveBeenCalledOnce();
  });
});

describe("a slider", () => {
  const html = '<input data-state="x" type="range" max="1000" value="0">';

  test("sets the state while it moves, once per frame, and the last time when it is let go", async () => {
    const slider = field(html);
    for (const value of ["1", "2", "3"]) user(slider, value, "input");
    expect(wires.sent).toEqual([]);
    await nextFrame();
    expect(wires.sent).toEqual([["state:x", 3]]);
    user(slider, "4", "input");
    user(slider, "5", "input", "change");
    await nextFrame();
    expect(wires.sent).toEqual([
      ["state:x", 3],
      ["state:x", 5],
    ]);
  });

  test("is not moved back by what comes of earlier positions", async () => {
    const slider = field(html);
    user(slider, "10", "input");
    await nextFrame();
    user(slider, "20", "input");
    wires.accept();
    await told(10);
    expect(slider.value).toBe("20");
    await nextFrame();
    await told(15);
    expect(slider.value).toBe("20");
  });

  test("shows what counts when the user is done and all is accepted", async () => {
    const slider = field(html);
    user(slider, "20", "input", "change");
    await told(10);
    await pass(1_000);
    expect(slider.value).toBe("20");
    wires.accept();
    await pass(300);
    expect(slider.value).toBe("10");
    await told(11);
    expect(slider.value).toBe("11");
    expect(wires.clock.pending).toBe(0);
  });

  test("stays where it is while a handler decides", async () => {
    const slider = field(html);
    user(slider, "20", "input", "change");
    wires.accept();
    wires.change({ "handling:state:x": { running: 1, waiting: 0, accepts: true }, "state:x": 10 });
    await nextFrame();
    await pass(5_000);
    expect(slider.value).toBe("20");
    wires.change({ "state:x": 18 }, ["handling:state:x"]);
    await nextFrame();
    expect(slider.value).toBe("18");
  });

  test("that is not touched follows at once, whatever another field of the name does", async () => {
    const slider = field(html);
    wires.signals.emit("state:x", 5);
    await told(4);
    expect(slider.value).toBe("4");
  });

  test("does not fill the outbox while nothing is accepted, and sends its last position when it can", async () => {
    const slider = field(html);
    for (let value = 1; value <= 50; value += 1) {
      user(slider, String(value), "input");
      await nextFrame();
    }
    expect(wires.sent).toHaveLength(32);
    wires.accept();
    await nextFrame();
    expect(wires.sent.slice(32)).toEqual([["state:x", 50]]);
  });
});

describe("a text that is being typed", () => {
  test("is not overwritten, however long that takes", async () => {
    const text = field('<input data-state="x">');
    user(text, "half", "input");
    await told("other");
    await pass(60_000);
    expect(text.value).toBe("half");
    user(text, "half a text", "change");
    wires.accept();
    await told("HALF A TEXT");
    await pass(300);
    expect(text.value).toBe("HALF A TEXT");
  });

  test("gives way to what counts when it is left unchanged", async () => {
    const text = field('<input data-state="x" value="a">');
    user(text, "ab", "input");
    await told("other");
    user(text, "a", "input");
    text.dispatchEvent(new Event("blur"));
    await nextFrame();
    expect(text.value).toBe("other");
    expect(wires.sent).toEqual([]);
  });
});

test("a field that is taken off its wires waits for nothing", async () => {
  const slider = field('<input data-state="x" type="range">');
  user(slider, "20", "input", "change");
  await told(10);
  expect(wires.clock.pending).toBe(1);
  user(slider, "30", "input");
  off();
  await nextFrame();
  expect([wires.clock.pending, wires.sent.length, slider.value]).toEqual([0, 1, "30"]);
});
