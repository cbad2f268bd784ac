import { encode } from "@msgpack/msgpack";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { Connection, type Listener } from "../src/connection.ts";
import { FakeBrowser } from "./support/browser.ts";
import { broadcast, signal, state } from "./support/wire.ts";

const NULL = encode(null);
let browser: FakeBrowser;
let connection: Connection;
let delivered: string[];
let listener: Listener;

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  browser = new FakeBrowser();
  delivered = [];
  listener = {
    status: vi.fn(),
    session: vi.fn(),
    gap: vi.fn(),
    state: vi.fn(),
    signal: (name) => delivered.push(name),
  };
  connection = new Connection("ws://here/ws/pi", browser.tokens, listener, browser.environment);
});

const sent = () => browser.socket.sent;
const attempts = () => browser.sockets.length;

describe("a connection", () => {
  test("opens at once, names the version and speaks first", () => {
    expect(browser.socket).toMatchObject({
      url: "ws://here/ws/pi",
      subprotocol: "databench.1",
      binaryType: "arraybuffer",
    });
    browser.socket.open();
    expect(sent()).toEqual([["attach", null, "page", 0, 0]]);
    expect(connection.status.state).toBe("connecting");
  });

  test("is open when the attach was answered", () => {
    browser.socket.attach("t");
    expect(connection.status.state).toBe("open");
    expect([browser.tokens.read(), connection.session]).toEqual(["t", "t"]);
  });

  test("joins what is emitted in one turn of the page into one frame", async () => {
    browser.socket.attach();
    const before = browser.socket.frames;
    for (const name of ["a", "b", "c"]) connection.emit(name, NULL);
    await Promise.resolve();
    expect(browser.socket.frames - before).toBe(1);
    expect(
      sent()
        .slice(1)
        .map(([, seq]) => seq),
    ).toEqual([1, 2, 3]);
  });

  test("acknowledges 50 ms after a signal", () => {
    browser.socket.attach().receive(signal(1, "a"));
    browser.clock.advance(49);
    expect(sent()).toHaveLength(1);
    browser.clock.advance(1);
    expect(sent().at(-1)).toEqual(["ack", 1, 0]);
  });

  test("waits with one timer, however many frames come", () => {
    const socket = browser.socket.attach();
    for (let seq = 1; seq <= 5; seq += 1) socket.receive(signal(seq, "a"));
    expect(browser.clock.pending).toBe(1);
  });

  test("passes broadcasts, gaps and a reload on", () => {
    browser.socket
      .attach()
      .receive(["gap", 3, 3], ["missed", 2, 2], broadcast(3, "news"), ["reload", "changed"]);
    expect(listener.gap).toHaveBeenCalledWith({ kind: "signals", count: 3 });
    expect(listener.gap).toHaveBeenCalledWith({ kind: "broadcasts", count: 2 });
    expect(delivered).toEqual(["news"]);
    expect(browser.reloads).toBe(1);
  });

  test("passes state on and acknowledges it then", () => {
    const before: number[] = [];
    listener.state = vi.fn(() => before.push(sent().length));
    browser.socket.attach().receive(state(1, true, { "state:pi": 3 }), signal(1, "a"));
    expect(listener.state).toHaveBeenCalledWith(true, encode([{ "state:pi": 3 }, []]));
    expect([before, sent().slice(1)]).toEqual([[1], [["ack", 1, 1]]]);
  });

  test("knows what of a name is not accepted", () => {
    const socket = browser.socket.attach();
    for (const name of ["a", "b", "a"]) connection.emit(name, NULL);
    expect(connection.unaccepted("a")).toBe(2);
    return Promise.resolve().then(() => {
      socket.receive(["accepted", 2]);
      expect(connection.unaccepted("a")).toBe(1);
    });
  });

  test("comes back when the attach is not answered within ten seconds", () => {
    const first = browser.socket.open();
    browser.clock.advance(10_000);
    expect(first.closedWith).toBeNull();
    browser.clock.advance(100);
    expect(attempts()).toBe(2);
  });
});

describe("after a drop", () => {
  test("it resumes with the token, the last number it saw and what was not accepted", async () => {
    browser.socket.attach("t").receive(signal(1, "a"));
    connection.emit("x", NULL);
    await Promise.resolve();
    browser.socket.cut();
    browser.clock.advance(100);
    browser.socket.attach("t", true, 0);
    expect(sent()).toEqual([
      ["attach", "t", "page", 1, 0],
      ["signal", 1, "x", NULL],
    ]);
  });

  test("it waits twice as long each time, up to five seconds", () => {
    for (const delay of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      const before = attempts();
      browser.socket.cut();
      browser.clock.advance(delay - 1);
      expect(attempts()).toBe(before);
      browser.clock.advance(1);
      expect(attempts()).toBe(before + 1);
    }
  });

  test("it is eager again once a signal came through", () => {
    for (let count = 0; count < 5; count += 1) {
      browser.socket.cut();
      browser.clock.advance(5_000);
    }
    browser.socket.attach().receive(signal(1, "a")).cut();
    browser.clock.advance(100);
    expect(attempts()).toBe(7);
  });

  test("it tries at once when the browser is online again", () => {
    browser.socket.cut();
    browser.reachable();
    expect(attempts()).toBe(2);
    browser.clock.advance(10_000 - 1);
    expect(attempts()).toBe(2);
  });

  test("what the old socket does is not heard any more", () => {
    const old = browser.socket.attach();
    old.cut();
    browser.clock.advance(100);
    old.receive(signal(1, "a"));
    old.cut(4004);
    expect(delivered).toEqual([]);
    expect(connection.status.state).toBe("connecting");
  });

  test("the page is told when another session was attached", () => {
    browser.socket.attach("t").cut();
    browser.clock.advance(100);
    browser.socket.attach("u", false);
    expect(listener.session).toHaveBeenLastCalledWith({
      resumed: false,
      renewed: true,
      dropped: 0,
      reason: null,
    });
  });
});

describe("close codes", () => {
  test.each([1003, 1009, 4000, 4001, 4004, 4005])("after %d the page gives up", (code) => {
    browser.socket.attach().cut(code);
    expect(connection.status).toMatchObject({ state: "closed", code });
    browser.reachable();
    expect([attempts(), browser.clock.pending]).toEqual([1, 0]);
    expect(() => connection.emit("a", NULL)).toThrow(/"a" was not emitted, the connection is closed/);
  });

  test.each([1000, 1001, 1006, 1011, 1013, 4008])("after %d it connects again, with back-off", (code) => {
    browser.socket.attach().cut(code);
    browser.clock.advance(0);
    expect(attempts()).toBe(1);
    browser.clock.advance(100);
    expect(attempts()).toBe(2);
  });

  test.each([1012, 4003])("after %d it connects again at once, but not for ever", (code) => {
    for (let count = 1; count <= 3; count += 1) {
      browser.socket.attach("t", count > 1).cut(code);
      browser.clock.advance(0);
      expect(attempts()).toBe(1 + count);
    }
    browser.socket.attach("t", true).cut(code);
    browser.clock.advance(99);
    expect(attempts()).toBe(4);
    browser.clock.advance(1);
    expect(attempts()).toBe(5);
  });

  test("a hole in the broadcasts makes it close with 4003 and attach again from where it was", () => {
    const first = browser.socket.attach("t", false, 0, 4).receive(broadcast(5, "a"), broadcast(7, "c"));
    expect(first.closedWith).toBe(4003);
    browser.clock.advance(0);
    browser.socket.open();
    expect(sent()).toEqual([["attach", "t", "page", 0, 5]]);
  });

  test("a hole makes it close with 4003 and attach again from where it was", () => {
    const first = browser.socket.attach("t").receive(signal(1, "a"), signal(3, "c"));
    expect(first.closedWith).toBe(4003);
    browser.clock.advance(0);
    browser.socket.open();
    expect(sent()).toEqual([["attach", "t", "page", 1, 0]]);
    expect(delivered).toEqual(["a"]);
  });

  test("text or nonsense makes it close with 4000 and give up", () => {
    browser.socket.attach().receiveRaw("text");
    expect(browser.socket.closedWith).toBe(4000);
    expect(connection.status).toMatchObject({ state: "closed", code: 4000 });
  });

  test("the end of a session is followed by an attach anew", () => {
    const first = browser.socket.attach("t").receive(["ended", "changed"]);
    expect(first.closedWith).toBe(1000);
    expect([browser.tokens.read(), connection.session]).toEqual([null, null]);
    browser.clock.advance(0);
    browser.socket.open();
    expect(sent()).toEqual([["attach", null, "page", 0, 0]]);
    browser.socket.receive(["attached", "u", false, 0, 0]);
    expect(listener.session).toHaveBeenLastCalledWith(expect.objectContaining({ reason: "changed" }));
  });
});

describe("closing by the page", () => {
  test("sends what was emitted, then ends for good", () => {
    browser.socket.attach();
    connection.emit("bye", NULL);
    connection.close();
    expect(sent().at(-1)?.[2]).toBe("bye");
    expect(browser.socket.closedWith).toBe(1000);
    expect([connection.status.state, browser.clock.pending]).toEqual(["closed", 0]);
    expect([browser.tokens.closed, connection.session]).toEqual([true, null]);
  });

  test("forgets the token also when the connection was given up before", () => {
    browser.socket.attach().cut(4001);
    expect(browser.tokens.read()).toBe("t");
    connection.close();
    expect(browser.tokens.closed).toBe(true);
  });

  test("in a handler keeps the rest of the frame from being delivered", () => {
    listener.signal = (name) => {
      delivered.push(name);
      connection.close();
    };
    browser.socket.attach().receive(signal(1, "a"), signal(2, "b"));
    expect(delivered).toEqual(["a"]);
    expect(browser.clock.pending).toBe(0);
  });
});
