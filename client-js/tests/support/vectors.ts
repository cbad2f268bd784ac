// The golden vectors that the Python side wrote, and the notation of their values.

import { readFileSync } from "node:fs";

export interface MessageVector {
  name: string;
  to: "browser" | "gateway";
  messages: Record<string, unknown>[];
  hex: string;
}
export interface ValueVector {
  name: string;
  hex: string;
  value: unknown;
  encode: boolean;
}
export interface InvalidVector {
  name: string;
  hex: string;
  to: "browser" | "gateway";
}

export function load<Vector>(name: string): Vector[] {
  const url = new URL(`../../../tests/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8"));
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

type Build = (elements: never[]) => ArrayLike<unknown>;
const ARRAYS: Record<string, Build> = {
  "|b1": (elements) => Uint8Array.from(elements, Number),
  "|i1": (elements) => Int8Array.from(elements),
  "|u1": (elements) => Uint8Array.from(elements),
  "<i2": (elements) => Int16Array.from(elements),
  "<u2": (elements) => Uint16Array.from(elements),
  "<i4": (elements) => Int32Array.from(elements),
  "<u4": (elements) => Uint32Array.from(elements),
  "<i8": wide,
  "<u8": wide,
  "<f2": (elements) => Float32Array.from(elements),
  "<f4": (elements) => Float32Array.from(elements),
  "<f8": (elements) => Float64Array.from(elements),
  "<c8": (elements) => Float32Array.from(elements.flat() as number[]),
  "<c16": (elements) => Float64Array.from(elements.flat() as number[]),
  "<M8[ms]": (elements) => elements.map((text) => (text === null ? null : new Date(`${text}Z`))),
};

function wide(elements: (number | bigint)[]): ArrayLike<unknown> {
  return elements.some((element) => typeof element === "bigint")
    ? BigInt64Array.from(elements.map(BigInt))
    : Float64Array.from(elements as number[]);
}

export interface Expected {
  value: unknown;
  shape?: number[];
}

/** The browser's value of a notation, with the shape where an array must carry one. */
export function noted(notation: unknown): Expected {
  if (typeof notation !== "object" || notation === null) return { value: notation };
  if (Array.isArray(notation)) return { value: notation.map((part) => noted(part).value) };
  const [kind, content] = (Object.entries(notation)[0] ?? ["", null]) as [string, never];
  switch (kind) {
    case "$float":
      return { value: Number(content) };
    case "$int":
      return { value: BigInt(content) };
    case "$bytes":
      return { value: fromHex(content) };
    case "$datetime":
    case "$naive":
    case "$date":
      return { value: new Date((content as string).replace(/(\.\d{3})\d+/, "$1")) };
    case "$array":
      return array(content);
    default:
      return {
        value: Object.fromEntries(Object.entries(notation).map(([key, part]) => [key, noted(part).value])),
      };
  }
}

function array({ dtype, shape, values }: { dtype: string; shape: number[]; values: unknown[] }): Expected {
  const elements = values.map((element) =>
    Array.isArray(element) ? element.map((part) => noted(part).value) : noted(element).value,
  );
  const full = dtype.startsWith("<c") ? [...shape, 2] : shape;
  const value = ARRAYS[dtype]?.(elements as never[]);
  return full.length === 1 ? { value } : { value, shape: full };
}
