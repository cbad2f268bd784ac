import { encode } from "@msgpack/msgpack";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { Signals } from "../src/signals.ts";
import { KnownState, ReadableState, WritableState } from "../src/state.ts";
import { decodeValue, encodeValue } from "../src/values.ts";

let known: KnownState;
let calls: unknown[];
const note = (value: unknown, name: string) => calls.push([name, value]);

beforeEach(() => {
  known = new KnownState();
  calls = [];
});

const change = (values: Record<string, unknown>, removed: string[] = []) =>
  known.apply(false, encodeValue([values, removed]));
const whole = (values: Record<string, unknown>) => known.apply(true, encodeValue([values, []]));

describe("known state", () => {
  test("is what was told last", () => {
    whole({ "state:a": 1, "state:b": 2 });
    change({ "state:a": { x: [1] }, "shared:c": null }, ["state:b"]);
    expect([...known.names()]).toEqual(["state:a", "shared:c"]);
    expect([known.get("state:a"), known.get("state:b"), known.get("shared:c")]).toEqual([
      { x: [1] },
      undefined,
      null,
    ]);
  });

  test("that comes whole has nothing that it does not name", () => {
    change({ "state:a": 1, "state:b": 2 });
    known.on("state:a", note);
    known.on("state:b", note);
    calls = [];
    whole({ "state:b": 3 });
    expect([...known.names()]).toEqual(["state:b"]);
    expect(calls).toEqual([
      ["state:a", undefined],
      ["state:b", 3],
    ]);
  });

  test("is all there before a handler is called, so that what belongs together is found together", () => {
    known.on("state:a", () => note(known.get("state:b"), "b"));
    change({ "state:a": 1, "state:b": 2 });
    expect(calls).toEqual([["b", 2]]);
  });

  test("that cannot be read is reported and changes nothing", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    change({ "state:a": 1 });
    const wrong = [
      new Uint8Array([0xc1]),
      encode(null),
      encode([{}]),
      encode([[], []]),
      encode([null, []]),
      encode([{}, {}]),
      encode([{}, [1]]),
    ];
    for (const bytes of wrong) known.apply(true, bytes);
    expect(error).toHaveBeenCalledTimes(wrong.length);
    expect(known.get("state:a")).toBe(1);
  });

  test("may hold a value that is nested as deep as a payload", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 500; level += 1) deep = [deep];
    known.apply(true, encode([{ "state:a": deep }, []], { maxDepth: 600 }));
    expect(known.get("state:a")).toHaveLength(1);
  });
});

describe("handlers of state", () => {
  test("are called for each value, at once, and with undefined when the name is gone", () => {
    known.on("state:a", note);
    change({ "state:a": 1 });
    change({ "state:a": 2, "state:b": 5 });
    change({}, ["state:a"]);
    expect(calls).toEqual([
      ["state:a", 1],
      ["state:a", 2],
      ["state:a", undefined],
    ]);
  });

  test("are told of a name that is gone although it was never there: what they asked for is not", () => {
    known.on("state:a", note);
    change({}, ["state:a"]);
    expect(calls).toEqual([["state:a", undefined]]);
  });

  test("that come later are called soon with what is known", async () => {
    change({ "state:a": 1 });
    const off = known.on("state:a", note);
    known.on("state:b", note);
    expect(calls).toEqual([]);
    await Promise.resolve();
    expect(calls).toEqual([["state:a", 1]]);
    off();
    change({ "state:a": 2 });
    expect(calls).toHaveLength(1);
  });

  test("are not called twice with a value that comes meanwhile, nor after they were taken off", async () => {
    change({ "state:a": 1, "state:b": 1 });
    known.on("state:a", note);
    known.on("state:b", note);
    known.off("state:b", note);
    change({ "state:a": 2 });
    await Promise.resolve();
    expect(calls).toEqual([["state:a", 2]]);
  });

  test("that are registered by another handler are called once", async () => {
    known.on("state:a", () => {
      known.on("state:a", note);
      known.on("state:b", note);
    });
    change({ "state:a": 1, "state:b": 2 });
    await Promise.resolve();
    expect(calls).toEqual([
      ["state:b", 2],
      ["state:a", 1],
    ]);
  });

  test("that throw are reported and stop nobody else", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    known.on("state:a", () => {
      throw new Error("mine");
    });
    known.on("state:a", note);
    change({ "state:a": 1 });
    expect([error.mock.calls.length, calls]).toEqual([1, [["state:a", 1]]]);
  });

  test("of a whole scope are called once for each batch", () => {
    const [handling, state] = [vi.fn(), vi.fn()];
    const off = known.watch("handling", handling);
    known.watch("state", state);
    change({ "handling:a": 1, "handling:b": 2 });
    change({}, ["handling:a"]);
    expect([handling.mock.calls.length, state.mock.calls.length]).toEqual([2, 0]);
    off();
    whole({});
    expect(handling).toHaveBeenCalledTimes(2);
  });
});

describe("signals", () => {
  test("have handlers of state by its names, and never show it to *", async () => {
    const signals = new Signals(() => {}, undefined, known);
    signals.on("*", note);
    for (const name of ["state:a", "shared:a", "handling:a", "progress:a"]) signals.on(name, note);
    change({ "state:a": 1, "shared:a": 2, "handling:a": 3, "progress:a": 4 });
    expect(calls).toEqual([
      ["state:a", 1],
      ["shared:a", 2],
      ["handling:a", 3],
      ["progress:a", 4],
    ]);
    signals.off("state:a", note);
    signals.off("shared:a");
    change({ "state:a": 1, "shared:a": 2 });
    expect(calls).toHaveLength(4);
  });
});

describe("state by its keys", () => {
  test("is read, listed and followed within its scope", async () => {
    const [state, handling] = [new ReadableState("state", known), new ReadableState("handling", known)];
    change({ "state:pi": 3, "state:a:b": 1, "handling:run": { running: 1, waiting: 0, accepts: true } });
    expect([state.get("pi"), state.get("e"), state.get("run")]).toEqual([3, undefined, undefined]);
    expect([state.keys(), handling.keys()]).toEqual([["pi", "a:b"], ["run"]]);
    state.on("pi", note);
    await Promise.resolve();
    expect(calls).toEqual([["state:pi", 3]]);
  });

  test("is set by a signal, and stays what it is until the session has answered", () => {
    const sent: unknown[] = [];
    const signals = new Signals((name, bytes) => sent.push([name, decodeValue(bytes)]));
    const state = new WritableState("state", known, (name, value) => signals.emit(name, value));
    state.set("draws", 100);
    expect(sent).toEqual([["state:draws", 100]]);
    expect(state.get("draws")).toBeUndefined();
  });

  test("is set with the errors of emit", () => {
    const signals = new Signals(() => {});
    const state = new WritableState("shared", known, (name, value) => signals.emit(name, value));
    expect(() => state.set("", 1)).toThrow("needs a key");
    expect(() => state.set("x".repeat(194), 1)).toThrow("200 characters");
    expect(() => state.set("f", () => 1)).toThrow("payload is a function");
  });
});
