// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Databench } from "../src/databench.ts";
import { FakeBrowser } from "./support/browser.ts";
import { nextFrame } from "./support/page.ts";
import { signal } from "./support/wire.ts";

let browser: FakeBrowser;
let databench: Databench;

function create(name = "pi", options = {}): Databench {
  return new Databench(
    name,
    { environment: browser.environment, ...options },
    "http://h/static/client/databench.js",
  );
}

beforeEach(() => {
  document.body.innerHTML = '<b data-signal="status:pi"></b><button data-emit="run">go</button>';
  browser = new FakeBrowser();
  databench = create();
});
afterEach(() => databench.close());

describe("a Databench", () => {
  test("connects at once to its analysis, beside the client's own script", () => {
    expect(browser.socket.url).toBe("ws://h/ws/pi");
    expect(databench.status).toBe("connecting");
    browser.socket.attach();
    expect(databench.status).toBe("open");
  });

  test("wires the page without a line of script", async () => {
    browser.socket.attach().receive(signal(1, "status", { pi: 3 }));
    document.querySelector("button")?.click();
    await nextFrame();
    expect(document.querySelector("b")?.textContent).toBe("3");
    expect(browser.socket.sent.at(-1)?.slice(0, 3)).toEqual(["signal", 1, "run"]);
  });

  test("leaves the wires to the first one of the page", () => {
    const second = create("second");
    browser.socket.attach();
    document.querySelector("button")?.click();
    expect(browser.socket.sent).toHaveLength(1);
    second.close();
  });

  test("tells of status, session and gaps", () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const [status, session, gap] = [vi.fn(), vi.fn(), vi.fn()];
    databench.on("status", status);
    const off = databench.on("session", session);
    databench.on("gap", gap);
    browser.socket.attach().receive(["gap", 7, 7]);
    expect(status).toHaveBeenCalledWith({ state: "open" });
    expect(session).toHaveBeenCalledWith({ resumed: false, renewed: false, dropped: 0 });
    expect(gap).toHaveBeenCalledWith({ count: 7 });
    off();
    browser.socket.cut();
    browser.clock.advance(100);
    browser.socket.attach();
    expect(session).toHaveBeenCalledOnce();
  });

  test("tells the console of errors and warnings, whoever handles them", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    browser.socket.attach().receive(signal(1, "error", "e"), signal(2, "warn", "w"));
    expect([error.mock.calls.length, warn.mock.calls.length]).toEqual([1, 1]);
  });

  test("acknowledges although a handler throws", () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    databench.signals.on("a", () => {
      throw new Error("mine");
    });
    browser.socket.attach().receive(signal(1, "a"));
    browser.clock.advance(50);
    expect(browser.socket.sent.at(-1)).toEqual(["ack", 1]);
  });

  test("needs a name", () => {
    expect(() => create("")).toThrow("as in Databench('pi')");
  });

  test("can be told where its analysis is", () => {
    create("pi", { url: "https://other/ws/x" }).close();
    expect(browser.socket.url).toBe("wss://other/ws/x");
  });

  test("leaves nothing behind when it is closed", () => {
    browser.socket.attach().cut();
    databench.close();
    expect([databench.status, browser.clock.pending]).toEqual(["closed", 0]);
    expect(document.querySelector(".databench-status p")).toBeNull();
  });
});
