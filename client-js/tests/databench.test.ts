// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Databench } from "../src/databench.ts";
import { FakeBrowser } from "./support/browser.ts";
import { nextFrame } from "./support/page.ts";
import { broadcast, signal, state } from "./support/wire.ts";

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
    browser.socket.attach().receive(["gap", 7, 7], ["missed", 2, 2]);
    expect(status).toHaveBeenCalledWith({ state: "open" });
    expect(session).toHaveBeenCalledWith({ resumed: false, renewed: false, dropped: 0, reason: null });
    expect(gap.mock.calls).toEqual([[{ kind: "signals", count: 7 }], [{ kind: "broadcasts", count: 2 }]]);
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
    expect(browser.socket.sent.at(-1)).toEqual(["ack", 1, 0]);
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

describe("state", () => {
  test("is known, told to handlers and acknowledged at once", () => {
    const handler = vi.fn();
    databench.signals.on("state:pi", handler);
    databench.state.on("pi", handler);
    const values = {
      "state:pi": 3,
      "shared:n": 7,
      "handling:run": { running: 1 },
      "progress:run": { done: 2 },
    };
    browser.socket.attach().receive(state(1, true, values));
    expect(handler.mock.calls).toEqual([
      [3, "state:pi"],
      [3, "state:pi"],
    ]);
    const { state: own, shared, handling, progress } = databench;
    expect([own.get("pi"), shared.get("n"), handling.get("run"), progress.get("run")]).toEqual([
      3,
      7,
      { running: 1 },
      { done: 2 },
    ]);
    expect([own.keys(), shared.keys(), handling.keys(), progress.keys()]).toEqual([
      ["pi"],
      ["n"],
      ["run"],
      ["run"],
    ]);
    expect(browser.socket.sent.at(-1)).toEqual(["ack", 0, 1]);
  });

  test("is set by signals, in their order", async () => {
    browser.socket.attach();
    databench.state.set("draws", 5);
    databench.signals.emit("run");
    databench.shared.set("n", 1);
    await Promise.resolve();
    expect(browser.socket.sent.slice(1).map(([, seq, name]) => [seq, name])).toEqual([
      [1, "state:draws"],
      [2, "run"],
      [3, "shared:n"],
    ]);
    expect(databench.state.get("draws")).toBeUndefined();
  });

  test("of a session that is over is gone with the first that the next one tells", () => {
    const handler = vi.fn();
    databench.state.on("pi", handler);
    browser.socket.attach().receive(state(1, true, { "state:pi": 3 }));
    browser.socket.cut();
    browser.clock.advance(100);
    browser.socket.attach("u").receive(state(1, true, { "state:e": 2 }));
    expect(handler).toHaveBeenLastCalledWith(undefined, "state:pi");
    expect(databench.state.keys()).toEqual(["e"]);
  });

  test("reaches the elements of the page, and fields set it", async () => {
    databench.close();
    document.body.innerHTML =
      '<b data-signal="state:n"></b><input data-state="n"><button data-emit="run">go</button>';
    databench = create();
    const values = { "state:n": 3, "handling:run": { running: 1, waiting: 0, accepts: false } };
    browser.socket.attach().receive(state(1, true, values));
    await nextFrame();
    const field = document.querySelector("input") as HTMLInputElement;
    const button = document.querySelector("button") as HTMLButtonElement;
    expect([document.querySelector("b")?.textContent, field.value, button.disabled]).toEqual([
      "3",
      "3",
      true,
    ]);
    field.value = "4";
    field.dispatchEvent(new Event("change"));
    await Promise.resolve();
    expect(browser.socket.sent.at(-1)?.slice(0, 3)).toEqual(["signal", 1, "state:n"]);
    databench.close();
    expect(button.outerHTML).toBe('<button data-emit="run">go</button>');
  });
});

test("a broadcast is a signal like any other", () => {
  const handler = vi.fn();
  databench.signals.on("news", handler);
  browser.socket.attach("t", false, 0, 4).receive(broadcast(5, "news", "all"));
  expect(handler).toHaveBeenCalledWith("all", "news");
});

test("the page says why its session is over", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  browser.socket.attach().receive(["ended", "the analysis was changed"]);
  browser.clock.advance(0);
  browser.socket.attach("u");
  await nextFrame();
  expect(document.querySelector(".databench-status")?.textContent).toBe(
    "The session is over: the analysis was changed. This is a new one.",
  );
});

describe("a link to the session", () => {
  test("is there while there is a session", () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    expect(databench.shareLink()).toBeNull();
    browser.socket.attach("3f.Zm9v");
    expect(databench.shareLink()).toBe(`${location.href}#databench=pi:3f.Zm9v`);
    browser.socket.cut();
    expect(databench.shareLink()).not.toBeNull();
    browser.clock.advance(100);
    browser.socket.attach("3f.Zm9v", true).receive(["ended", "changed"]);
    expect(databench.shareLink()).toBeNull();
  });

  test("is no more when the page is done", () => {
    browser.socket.attach("t");
    databench.close();
    expect(databench.shareLink()).toBeNull();
  });

  test("leads to the session of its token, and is not left in the address bar", async () => {
    history.replaceState(null, "", "/#databench=pi:3f.Zm9v");
    const { tokens: _, ...environment } = browser.environment;
    const shared = create("pi", { environment });
    browser.socket.open();
    expect(browser.socket.sent).toEqual([["attach", "3f.Zm9v", "page", 0, 0]]);
    expect(location.href).not.toContain("#");
    browser.socket.receive(["attached", "new", false, 0, 0]);
    await nextFrame();
    expect(document.querySelector(".databench-status")?.textContent).toContain("this is a new session");
    shared.close();
  });
});

test("a page that is left keeps its session, and finds it when it is loaded again", () => {
  const { tokens: _, ...environment } = browser.environment;
  const url = "ws://h/ws/kept";
  const left = create("pi", { environment, url });
  browser.socket.attach("3f.Zm9v");
  dispatchEvent(new Event("pagehide"));
  expect([browser.socket.closedWith, Object.values(sessionStorage)]).toEqual([undefined, ["3f.Zm9v"]]);
  left.close();
  sessionStorage.clear();
});
