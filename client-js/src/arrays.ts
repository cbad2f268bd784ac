// numpy arrays on the wire (ext 1: a line "DTYPE SHAPE", then the elements) as typed arrays, and back.
// Knows nothing of msgpack around them.

import { ProtocolError } from "./errors.ts";

type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** What a numpy array becomes. `shape` is there unless it has exactly one dimension. */
export type NumericArray = TypedArray & { readonly shape?: readonly number[] };

interface Dtype {
  readonly itemBytes: number;
  /** The block is little-endian, as every browser is. */
  readonly elements: (block: ArrayBuffer) => TypedArray | (Date | null)[];
  readonly parts?: 2;
}

const DTYPES: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ["|b1", { itemBytes: 1, elements: (block) => new Uint8Array(block) }],
  ["|i1", { itemBytes: 1, elements: (block) => new Int8Array(block) }],
  ["|u1", { itemBytes: 1, elements: (block) => new Uint8Array(block) }],
  ["<i2", { itemBytes: 2, elements: (block) => new Int16Array(block) }],
  ["<u2", { itemBytes: 2, elements: (block) => new Uint16Array(block) }],
  ["<i4", { itemBytes: 4, elements: (block) => new Int32Array(block) }],
  ["<u4", { itemBytes: 4, elements: (block) => new Uint32Array(block) }],
  ["<i8", { itemBytes: 8, elements: (block) => exact(new BigInt64Array(block)) }],
  ["<u8", { itemBytes: 8, elements: (block) => exact(new BigUint64Array(block)) }],
  ["<f2", { itemBytes: 2, elements: (block) => halves(new Uint16Array(block)) }],
  ["<f4", { itemBytes: 4, elements: (block) => new Float32Array(block) }],
  ["<f8", { itemBytes: 8, elements: (block) => new Float64Array(block) }],
  ["<c8", { itemBytes: 8, parts: 2, elements: (block) => new Float32Array(block) }],
  ["<c16", { itemBytes: 16, parts: 2, elements: (block) => new Float64Array(block) }],
  ["<M8[ms]", { itemBytes: 8, elements: (block) => dates(new BigInt64Array(block)) }],
]);

const DTYPE_OF: ReadonlyMap<string, string> = new Map([
  ["Int8Array", "|i1"],
  ["Uint8ClampedArray", "|u1"],
  ["Int16Array", "<i2"],
  ["Uint16Array", "<u2"],
  ["Int32Array", "<i4"],
  ["Uint32Array", "<u4"],
  ["BigInt64Array", "<i8"],
  ["BigUint64Array", "<u8"],
  ["Float16Array", "<f2"],
  ["Float32Array", "<f4"],
  ["Float64Array", "<f8"],
]);

const NEWLINE = 0x0a;
const LONGEST_HEADER = 400;
const EXACT = 2n ** 53n;
const NOT_A_TIME = -(2n ** 63n);

export function decodeArray(data: Uint8Array): NumericArray | (Date | null)[] {
  const end = data.subarray(0, LONGEST_HEADER).indexOf(NEWLINE);
  if (end < 0) throw new ProtocolError("an array without a header");
  const header = /^(\S+) ([\d,]*)$/.exec(String.fromCharCode(...data.subarray(0, end)));
  const dtype = DTYPES.get(header?.[1] ?? "");
  if (!header || !dtype) throw new ProtocolError("an array of an unknown type");
  const shape = header[2] ? header[2].split(",").map(Number) : [];
  const count = shape.reduce((product, length) => product * length, 1);
  const size = data.byteLength - end - 1;
  if (size !== count * dtype.itemBytes)
    throw new ProtocolError("an array of another size than its header says");
  // A copy is aligned, and its buffer holds nothing else, so that it can be handed on.
  const elements = dtype.elements(data.slice(end + 1).buffer);
  return shaped(elements, dtype.parts ? [...shape, dtype.parts] : shape);
}

/** Returns the content of ext 1, or null where the view is no array of numbers (`Uint8Array`, `DataView`). */
export function encodeArray(view: ArrayBufferView): Uint8Array | null {
  const dtype = DTYPE_OF.get(Object.prototype.toString.call(view).slice(8, -1));
  if (dtype === undefined) return null;
  const length = (view as NumericArray).length;
  const header = new TextEncoder().encode(`${dtype} ${shapeOf(view as NumericArray, length).join(",")}\n`);
  const data = new Uint8Array(header.length + view.byteLength);
  data.set(header);
  data.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), header.length);
  return data;
}

function shapeOf(array: NumericArray, length: number): readonly number[] {
  const { shape } = array;
  const fits = Array.isArray(shape) && shape.reduce((product, axis) => product * axis, 1) === length;
  return fits ? shape : [length];
}

function shaped<Elements extends object>(elements: Elements, shape: readonly number[]): Elements {
  if (shape.length === 1) return elements;
  return Object.defineProperty(elements, "shape", { value: shape, configurable: true, writable: true });
}

function exact<Wide extends BigInt64Array | BigUint64Array>(wide: Wide): Wide | Float64Array {
  for (const element of wide) if (element > EXACT || element < -EXACT) return wide;
  return Float64Array.from(wide as Iterable<bigint>, Number);
}

function dates(milliseconds: BigInt64Array): (Date | null)[] {
  return Array.from(milliseconds, (time) => (time === NOT_A_TIME ? null : new Date(Number(time))));
}

function halves(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, half);
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
