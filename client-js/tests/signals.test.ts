import { beforeEach, describe, expect, test, vi } from "vitest";
import { Signals } from "../src/signals.ts";
import { decodeValue, encodeValue } from "../src/values.ts";

let sent: [string, unknown][];
let signals: Signals;

beforeEach(() => {
  sent = [];
  signals = new Signals((name, bytes) => sent.push([name, decodeValue(bytes)]));
});

const deliver = (name: string, payload: unknown = null) => signals.deliver(name, encodeValue(payload));

describe("handlers", () => {
  test("are called in the order in which they were registered", () => {
    const calls: unknown[] = [];
    signals.on("a", (payload) => calls.push(["first", payload]));
    signals.on("a", (payload, name) => calls.push(["second", payload, name]));
    deliver("a", 1);
    expect(calls).toEqual([
      ["first", 1],
      ["second", 1, "a"],
    ]);
  });

  test("of * see every signal", () => {
    const calls: unknown[] = [];
    signals.on("*", (payload, name) => calls.push([name, payload]));
    deliver("a", 1);
    deliver("b", 2);
    expect(calls).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("that throw are reported and stop nobody else", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    const second = vi.fn();
    signals.on("a", () => {
      throw new Error("mine");
    });
    signals.on("a", second);
    deliver("a");
    expect(second).toHaveBeenCalledOnce();
    expect(error).toHaveBeenCalledWith(expect.stringContaining('a handler of "a" failed'), new Error("mine"));
  });

  test("are taken off one by one, or all of a name", () => {
    const [one, two, three] = [vi.fn(), vi.fn(), vi.fn()];
    const off = signals.on("a", one);
    signals.on("a", two);
    signals.on("a", three);
    off();
    off();
    signals.off("a", two);
    deliver("a");
    expect([one, two, three].map((handler) => handler.mock.calls.length)).toEqual([0, 0, 1]);
    signals.off("a");
    deliver("a");
    expect(three).toHaveBeenCalledOnce();
  });

  test("must be functions", () => {
    expect(() => signals.on("a", undefined as never)).toThrow('the handler of "a" is not a function');
  });
});

describe("signals that nobody handles yet", () => {
  test("wait for their first handler, and come before later ones", async () => {
    deliver("a", 1);
    deliver("a", 2);
    const seen: unknown[] = [];
    signals.on("a", (payload) => seen.push(payload));
    deliver("a", 3);
    await Promise.resolve();
    deliver("a", 4);
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  test("reach all handlers that are registered in one go", async () => {
    deliver("a", 1);
    const [one, two] = [vi.fn(), vi.fn()];
    signals.on("a", one);
    signals.on("a", two);
    await Promise.resolve();
    expect([one.mock.calls, two.mock.calls]).toEqual([[[1, "a"]], [[1, "a"]]]);
  });

  test("are not shown to * twice", async () => {
    const every = vi.fn();
    signals.on("*", every);
    deliver("a", 1);
    signals.on("a", () => {});
    await Promise.resolve();
    expect(every).toHaveBeenCalledOnce();
  });

  test("are bounded to the newest 1,000 of a name, with one warning", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    for (let count = 0; count < 1_010; count += 1) deliver("a", count);
    const seen: number[] = [];
    signals.on("a", (payload) => seen.push(payload));
    await Promise.resolve();
    expect([seen.length, seen[0]]).toEqual([1_000, 10]);
    expect(warn).toHaveBeenCalledOnce();
  });

  test("are bounded in bytes", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    for (let count = 0; count < 20; count += 1) deliver("a", new Uint8Array(1024 * 1024));
    const seen = vi.fn();
    signals.on("a", seen);
    await Promise.resolve();
    expect(seen.mock.calls.length).toBeLessThanOrEqual(16);
  });
});

describe("emitting", () => {
  test("sends the name and the payload, null when there is none", () => {
    signals.emit("run", { draws: 10 });
    signals.emit("stop");
    expect(sent).toEqual([
      ["run", { draws: 10 }],
      ["stop", null],
    ]);
  });

  test("throws where the author can see it: name, value, size", () => {
    expect(() => signals.emit("")).toThrow("needs a name");
    expect(() => signals.emit("x".repeat(201))).toThrow("200 characters");
    expect(() => signals.emit("a", { f: () => 1 })).toThrow("payload.f");
    expect(() => signals.emit("a", new Uint8Array(16 * 1024 * 1024))).toThrow("larger than 16 MiB");
    expect(sent).toEqual([]);
  });
});

test("a payload that cannot be read is reported and nothing else stops", () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  const handler = vi.fn();
  signals.on("a", handler);
  signals.deliver("a", new Uint8Array([0xc1]));
  deliver("a", 1);
  expect(error).toHaveBeenCalledOnce();
  expect(handler.mock.calls).toEqual([[1, "a"]]);
});
