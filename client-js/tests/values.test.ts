import { describe, expect, test } from "vitest";
import { ProtocolError } from "../src/errors.ts";
import { decodeValue, encodeValue } from "../src/values.ts";
import { fromHex, load, noted, toHex, type ValueVector } from "./support/vectors.ts";

const VALUES = load<ValueVector>("values");
const bytes = (...parts: number[]) => new Uint8Array(parts);
const roundTrip = (value: unknown) => decodeValue(encodeValue(value));

describe("the golden vectors", () => {
  test.each(VALUES)("$name is decoded", ({ hex, value }) => {
    const decoded = decodeValue(fromHex(hex));
    const expected = noted(value);
    expect(decoded).toEqual(expected.value);
    expect(Object.getPrototypeOf(Object(decoded))).toBe(Object.getPrototypeOf(Object(expected.value)));
    expect((decoded as { shape?: number[] } | null)?.shape).toEqual(expected.shape);
  });

  test.each(VALUES.filter(({ encode }) => encode))("$name is encoded", ({ hex, value }) => {
    expect(toHex(encodeValue(noted(value).value))).toBe(hex);
  });
});

describe("a key called __proto__", () => {
  const value = JSON.parse('{"a": [{"__proto__": {"polluted": true}}], "__proto__": null, "__prot0__": 1}');

  test("is an own property, and no prototype is touched", () => {
    const decoded = roundTrip(value) as Record<string, unknown> & { a: [object] };
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(value);
    expect(Object.keys(decoded).sort()).toEqual(["__prot0__", "__proto__", "a"]);
    for (const map of [decoded, decoded.a[0]]) {
      expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
      expect(Object.getOwnPropertySymbols(map)).toEqual([]);
    }
    expect("polluted" in {}).toBe(false);
    expect("polluted" in decoded.a[0]).toBe(false);
  });

  test("does not let anything else pass that is wrong", () => {
    expect(() => decodeValue(encodeValue(value).subarray(0, -1))).toThrow(ProtocolError);
    const map = [0x81, 0xa9, ...new TextEncoder().encode("__proto__")];
    const nested = (levels: number) => bytes(...Array(levels).fill(map).flat(), 0xc0);
    expect(() => decodeValue(nested(501))).not.toThrow();
    expect(() => decodeValue(nested(502))).toThrow("nested deeper than 500 levels");
  });
});

describe("integers", () => {
  test.each([0, -1, 2 ** 32, -(2 ** 31) - 1, 2 ** 53 - 1, 1.7e12])(
    "%d comes back as the same number",
    (n) => {
      expect(roundTrip(n)).toBe(n);
    },
  );

  test("beyond 2^53 they are bigint, also inside lists and maps", () => {
    const value = { a: [2n ** 53n + 1n, { b: -(2n ** 63n) }] };
    expect(roundTrip(value)).toEqual(value);
  });

  test("a bigint that a number holds exactly comes back as a number", () => {
    expect(roundTrip([7n, -5n])).toEqual([7, -5]);
    expect(encodeValue(7n)).toEqual(bytes(7));
  });

  test("a number above 2^32 travels as an integer, not as a float", () => {
    expect(encodeValue(2 ** 32)[0]).toBe(0xcf);
    expect(encodeValue(-(2 ** 40))[0]).toBe(0xd3);
  });
});

describe("arrays", () => {
  test("an array that is not aligned in its frame is read all the same", () => {
    const array = Float64Array.of(1.5, -2);
    for (let offset = 0; offset < 8; offset += 1) {
      const value = ["x".repeat(offset), array];
      expect(roundTrip(value)).toEqual(value);
    }
  });

  test("an array owns its buffer, so that buffer can be handed on", () => {
    const [, array] = roundTrip([1, Float64Array.of(1.5, -2)]) as [number, Float64Array];
    expect(array.buffer.byteLength).toBe(16);
  });

  test("an array keeps its shape on the way back", () => {
    const array = Object.assign(Float64Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] });
    expect((roundTrip(array) as typeof array).shape).toEqual([2, 3]);
  });

  test("the shape is no element and no key of the array", () => {
    const vector = VALUES.find(({ name }) => name === "float64 array of two dimensions");
    expect(Object.keys(decodeValue(fromHex(vector?.hex ?? "")) as object)).not.toContain("shape");
  });

  test("part of a larger buffer travels without the rest", () => {
    expect(roundTrip(Float32Array.of(1, 2, 3, 4).subarray(1, 3))).toEqual(Float32Array.of(2, 3));
  });

  test.each([
    ["another size than its header says", "<f8 2\n", 8],
    ["an unknown type", "|O 1\n", 8],
    ["no header", "<f8 2", 0],
    ["a shape of text", "<f8 a\n", 8],
  ])("an array with %s is refused", (_, header, size) => {
    const content = [...new TextEncoder().encode(header), ...new Uint8Array(size)];
    expect(() => decodeValue(bytes(0xc7, content.length, 1, ...content))).toThrow(/an array/);
  });
});

describe("what a page may emit", () => {
  test("buffers travel as bytes", () => {
    expect(encodeValue(bytes(1, 2).buffer)).toEqual(bytes(0xc4, 2, 1, 2));
    expect(encodeValue(new DataView(bytes(1, 2).buffer))).toEqual(bytes(0xc4, 2, 1, 2));
  });

  test("sets become lists, maps become objects", () => {
    expect(roundTrip(new Set([1, 2]))).toEqual([1, 2]);
    expect(roundTrip(new Map([[1, "a"]]))).toEqual({ "1": "a" });
  });

  test("undefined is null, and is left out of objects", () => {
    expect(roundTrip([undefined, { a: undefined, b: 1 }])).toEqual([null, { b: 1 }]);
    expect(roundTrip(undefined)).toBeNull();
  });

  test("a Date keeps its milliseconds", () => {
    const date = new Date("2026-01-02T03:04:05.678Z");
    expect(roundTrip(date)).toEqual(date);
  });

  test("half a surrogate pair becomes the replacement character", () => {
    expect(roundTrip("a\ud800b")).toBe("a\ufffdb");
    expect(roundTrip("😀")).toBe("😀");
  });

  test("500 levels are encoded and decoded", () => {
    let deep: unknown[] = [];
    for (let level = 1; level < 500; level += 1) deep = [deep];
    expect(roundTrip(deep)).toEqual(deep);
    expect(() => encodeValue([[deep]])).toThrow(/500 levels/);
  });

  test("what cannot travel is named by its path", () => {
    expect(() => encodeValue({ a: [0, { "b c": () => 1 }] })).toThrow(
      new TypeError('payload.a[1]["b c"] is a function, which cannot travel'),
    );
    expect(() => encodeValue(2n ** 64n)).toThrow("payload does not fit into 64 bits");
    expect(() => encodeValue([new Date("?")])).toThrow("payload[0] is an invalid Date");
  });

  test("a value that contains itself is refused", () => {
    const self: unknown[] = [];
    self.push(self);
    expect(() => encodeValue(self)).toThrow(/contains itself/);
  });
});

describe("what a page refuses to read", () => {
  test.each([
    ["bytes after the value", bytes(1, 2)],
    ["half a value", bytes(0x92, 1)],
    ["an unknown extension", bytes(0xd4, 99, 0)],
    ["a key of another kind", bytes(0x81, 0xc0, 1)],
    ["a date that is none", bytes(0xd5, 3, 0x61, 0x62)],
    ["endless nesting", new Uint8Array(5_000).fill(0x91)],
  ])("%s", (_, payload) => {
    expect(() => decodeValue(payload)).toThrow(expect.objectContaining({ name: "ProtocolError" }));
  });

  test("numbers as keys become strings", () => {
    expect(decodeValue(bytes(0x82, 1, 2, 0xcf, 0, 0, 0, 0, 0, 0, 0, 9, 3))).toEqual({ "1": 2, "9": 3 });
  });
});
