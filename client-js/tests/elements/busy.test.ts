// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { showHandling } from "../../src/elements/busy.ts";
import { nextFrame } from "../support/page.ts";
import { Wires } from "../support/wires.ts";

let wires: Wires;
let off: () => void;

beforeEach(() => {
  wires = new Wires();
  off = () => {};
});
afterEach(() => off());

function page(html: string): HTMLButtonElement {
  document.body.innerHTML = html;
  off = showHandling(document, wires.known);
  return document.body.firstElementChild as HTMLButtonElement;
}
function handling(signal: string, accepts = true): Promise<void> {
  wires.change({ [`handling:${signal}`]: { running: 1, waiting: 0, accepts } });
  return nextFrame();
}
function done(signal: string): Promise<void> {
  wires.change({}, [`handling:${signal}`]);
  return nextFrame();
}
const busy = (element: Element) => element.getAttribute("aria-busy");

describe("an element that emits", () => {
  test("is busy while its signal is handled, and may be clicked again where one more is taken", async () => {
    const button = page('<button data-emit="run">go</button>');
    expect(busy(button)).toBeNull();
    await handling("run");
    expect([busy(button), button.disabled]).toEqual(["true", false]);
    await done("run");
    expect([busy(button), button.disabled]).toEqual([null, false]);
  });

  test("does not care for other signals", async () => {
    const button = page('<button data-emit="run">go</button>');
    await handling("stop", false);
    expect([busy(button), button.disabled]).toEqual([null, false]);
  });

  test("is disabled while one more signal would be refused", async () => {
    const button = page('<button data-emit="run">go</button>');
    await handling("run", false);
    expect([busy(button), button.disabled]).toEqual(["true", true]);
    await handling("run", true);
    expect([busy(button), button.disabled]).toEqual(["true", false]);
  });

  test("is disabled as long as it is handled where its author wants that", async () => {
    const button = page('<button data-emit="run" data-busy="disable">go</button>');
    await handling("run", true);
    expect([busy(button), button.disabled]).toEqual(["true", true]);
    await done("run");
    expect([busy(button), button.disabled]).toEqual([null, false]);
  });

  test("is left alone where its author wants that, also from now on", async () => {
    const button = page('<button data-emit="run" data-busy="ignore">go</button>');
    await handling("run", false);
    expect([busy(button), button.disabled]).toEqual([null, false]);
    button.dataset["busy"] = "";
    await handling("run", false);
    expect([busy(button), button.disabled]).toEqual(["true", true]);
    button.dataset["busy"] = "ignore";
    await handling("run", false);
    expect([busy(button), button.disabled]).toEqual([null, false]);
  });

  test("keeps what its author set", async () => {
    const button = page('<button data-emit="run" disabled aria-busy="false">go</button>');
    await handling("run", false);
    await done("run");
    expect([busy(button), button.disabled]).toEqual(["false", true]);
  });

  test("may come later, and be taken from the page while it is busy", async () => {
    page("<p></p>");
    await handling("run", false);
    document.body.innerHTML = '<button data-emit="run">go</button>';
    const button = document.body.firstElementChild as HTMLButtonElement;
    await handling("run", false);
    expect(button.disabled).toBe(true);
    button.remove();
    await done("run");
    expect([busy(button), button.disabled]).toEqual([null, false]);
  });

  test("that is no control is only busy", async () => {
    const link = page('<a href="#" data-emit="run">go</a>');
    await handling("run", false);
    expect(link.outerHTML).toBe('<a href="#" data-emit="run" aria-busy="true">go</a>');
  });
});

describe("the focus", () => {
  const html = '<button data-emit="run">go</button><input>';

  test.each([
    ["that the browser took away", true],
    ["that the browser left there", false],
  ])("%s comes back to the button that had it", async (_, taken) => {
    const button = page(html);
    button.focus();
    await handling("run", false);
    if (taken) button.blur();
    await done("run");
    expect(document.activeElement).toBe(button);
  });

  test("stays where the user went meanwhile", async () => {
    const button = page(html);
    button.focus();
    await handling("run", false);
    document.querySelector("input")?.focus();
    await done("run");
    expect(document.activeElement).toBe(document.querySelector("input"));
  });

  test("does not come to a button that did not have it", async () => {
    page(html);
    await handling("run", false);
    await done("run");
    expect(document.activeElement).toBe(document.body);
  });
});

test("an area is busy while a signal is handled, and never disabled", async () => {
  page(
    '<article data-handling="run"></article><fieldset data-handling="run" data-busy="disable"></fieldset>',
  );
  await handling("run", false);
  expect(document.body.innerHTML).toBe(
    '<article data-handling="run" aria-busy="true"></article>' +
      '<fieldset data-handling="run" data-busy="disable" aria-busy="true"></fieldset>',
  );
  await done("run");
  expect(document.querySelector("[aria-busy]")).toBeNull();
});

test("many changes are drawn once, in the next frame", async () => {
  const button = page('<button data-emit="run">go</button>');
  handling("run", false);
  done("run");
  expect(busy(button)).toBeNull();
  const last = handling("run");
  expect(busy(button)).toBeNull();
  await last;
  expect([busy(button), button.disabled]).toEqual(["true", false]);
});

test("nothing stays busy when the page is done", async () => {
  const button = page('<button data-emit="run">go</button>');
  await handling("run", false);
  const last = handling("run", false);
  off();
  await last;
  expect([busy(button), button.disabled]).toEqual([null, false]);
});
