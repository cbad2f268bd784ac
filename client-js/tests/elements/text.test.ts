import { expect, test } from "vitest";
import { compact, formatted } from "../../src/elements/text.ts";

test.each([
  [Math.PI, ".3f", "3.142"],
  [3, ".2f", "3.00"],
  [2.5, "f", "2.500000"],
  [41.7, "d", "42"],
  [1234567.891, ",.1f", "1,234,567.9"],
  [-1234567, ",d", "-1,234,567"],
  [123, ",d", "123"],
  [9007199254740993n, "d", "9007199254740993"],
  [0.256, "%", "26%"],
  [0.256, ".1%", "25.6%"],
  [12345, ".2e", "1.23e+4"],
  [Number.NaN, ".2f", "NaN"],
  [Number.POSITIVE_INFINITY, "d", "Infinity"],
  ["text", ".2f", "text"],
  [3.5, undefined, "3.5"],
  [3.5, "nonsense", "3.5"],
])("%s as %s is %s", (value, format, text) => {
  expect(formatted(value, format)).toBe(text);
});

test("text stays as it is, values become compact JSON", () => {
  expect(compact("a b")).toBe("a b");
  expect(compact({ "a b": [1, "c", null, true, Number.NaN, 5n] })).toBe('{"a b":[1,"c",null,true,NaN,5]}');
  expect(compact(new Date("2026-01-02T03:04:05Z"))).toBe("2026-01-02T03:04:05.000Z");
});

test("typed arrays are abbreviated with their shape", () => {
  const matrix = Object.defineProperty(Float32Array.of(1, 2, 3, 4), "shape", { value: [2, 2] });
  expect(compact(matrix)).toBe("Float32Array(2×2) [1,2,3,…]");
  expect(compact(Uint8Array.of(1))).toBe("Uint8Array(1) [1]");
});

test("long values are cut", () => {
  const text = compact(Array.from({ length: 100_000 }, (_, index) => index));
  expect(text.length).toBeLessThan(2_100);
  expect(text.endsWith("…")).toBe(true);
  expect(compact([["x".repeat(5_000)]]).length).toBeLessThan(2_100);
});
