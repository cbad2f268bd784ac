// The values inside payloads, as bytes and back: msgpack with the extensions of docs/protocol.md, section 5.
// Knows nothing of signals. No integer is ever rounded: what a number cannot hold is a bigint.

import { Decoder, Encoder, ExtData, ExtensionCodec } from "@msgpack/msgpack";
import { decodeArray, encodeArray } from "./arrays.ts";
import { ProtocolError } from "./errors.ts";
import { LIMITS } from "./protocol.ts";

const EXT = { array: 1, naive: 2, date: 3 } as const;
const EXACT = 2n ** 53n;
const SMALLEST = -(2n ** 63n);
const LARGEST = 2n ** 64n - 1n;
const NARROW = 2 ** 32;

const extensionCodec = new ExtensionCodec();
const never = () => null;
extensionCodec.register({ type: EXT.array, encode: never, decode: decodeArray });
extensionCodec.register({ type: EXT.naive, encode: never, decode: dateFromText });
extensionCodec.register({ type: EXT.date, encode: never, decode: dateFromText });

const encoder = new Encoder({ extensionCodec, useBigInt64: true, maxDepth: LIMITS.nesting + 1 });
const decoder = new Decoder({ extensionCodec, useBigInt64: true, mapKeyConverter: keyFrom });

// The library refuses the key `__proto__`, since the assignment to it would change the prototype. A payload that is
// refused is read once more with this decoder, which puts another key in its place until `settled` makes it a property.
const PROTO = "__proto__";
const STAND_IN = Symbol(PROTO);
const text = new TextDecoder();
const carefulDecoder = new Decoder({
  extensionCodec,
  useBigInt64: true,
  mapKeyConverter: (key) => (key === STAND_IN ? (key as never) : keyFrom(key)),
  keyDecoder: {
    canBeCached: (length) => length === PROTO.length,
    decode: (bytes, offset, length) => {
      const key = text.decode(bytes.subarray(offset, offset + length));
      return key === PROTO ? (STAND_IN as never) : key;
    },
  },
});

/** Encodes what a page emits. What cannot travel is a TypeError that names the path to it. */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(prepared(value, "payload", 0));
}

/** Decodes what a page receives, which may be nested deeper by as many levels as are around the values. */
export function decodeValue(bytes: Uint8Array, around = 0): unknown {
  try {
    return settled(decoded(bytes), -around);
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch {
    return carefulDecoder.decode(bytes);
  }
}

function prepared(value: unknown, path: string, depth: number): unknown {
  switch (typeof value) {
    case "number":
      return Number.isSafeInteger(value) && (value >= NARROW || value < -NARROW / 2) ? BigInt(value) : value;
    case "bigint":
      if (value < SMALLEST || value > LARGEST) throw new TypeError(`${path} does not fit into 64 bits`);
      return value > -EXACT && value < EXACT ? prepared(Number(value), path, depth) : value;
    case "string":
      return wellFormed(value);
    case "boolean":
      return value;
    case "undefined":
      return null;
    case "object":
      return value === null ? null : preparedObject(value, path, depth);
    default:
      throw new TypeError(`${path} is a ${typeof value}, which cannot travel`);
  }
}

function preparedObject(value: object, path: string, depth: number): unknown {
  if (depth >= LIMITS.nesting) {
    throw new TypeError(`payload is nested deeper than ${LIMITS.nesting} levels, or contains itself`);
  }
  const part = (item: unknown, index: number) => prepared(item, `${path}[${index}]`, depth + 1);
  if (Array.isArray(value)) return Array.from(value, part);
  if (ArrayBuffer.isView(value)) return preparedView(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Set) return Array.from(value, part);
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new TypeError(`${path} is an invalid Date`);
    return value;
  }
  if (typeof Node !== "undefined" && value instanceof Node) {
    throw new TypeError(`${path} is an element of the page, which cannot travel`);
  }
  const entries: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, item] of entries) {
    if (item !== undefined)
      copy[wellFormed(String(key))] = prepared(item, inside(path, String(key)), depth + 1);
  }
  return copy;
}

function preparedView(view: ArrayBufferView): unknown {
  const array = encodeArray(view);
  return array
    ? new ExtData(EXT.array, array)
    : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function inside(path: string, key: string): string {
  return /^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(key)
    ? `${path}.${key}`
    : `${path}[${JSON.stringify(key)}]`;
}

/** Half a surrogate pair has no UTF-8; it becomes the replacement character. */
function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? text.replace(/\p{Surrogate}/gu, "\ufffd") : text;
}

/** Turns every integer that a number holds exactly from bigint into number, in place. */
function settled(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return value >= -EXACT && value <= EXACT ? Number(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth > LIMITS.nesting)
    throw new ProtocolError(`a payload nested deeper than ${LIMITS.nesting} levels`);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) value[index] = settled(item, depth + 1);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    const map = value as Record<string | symbol, unknown>;
    for (const key of Object.keys(map)) map[key] = settled(map[key], depth + 1);
    if (map[STAND_IN] !== undefined) {
      own(map, PROTO, settled(map[STAND_IN], depth + 1));
      delete map[STAND_IN];
    }
  } else if (value instanceof ExtData) {
    throw new ProtocolError(`a value of the unknown extension type ${value.type}`);
  }
  return value;
}

/** Makes a property of any name, without touching the prototype. */
function own(map: object, key: string, value: unknown): void {
  Object.defineProperty(map, key, { value, configurable: true, enumerable: true, writable: true });
}

function keyFrom(key: unknown): string {
  if (typeof key === "string") return key;
  if (typeof key === "number" || typeof key === "bigint") return String(key);
  throw new ProtocolError("a key that is neither text nor a number");
}

/** Reads ISO 8601 as far as a Date goes: with a time and no zone it is local, without a time it is UTC. */
function dateFromText(data: Uint8Array): Date {
  const text = String.fromCharCode(...data.subarray(0, 64));
  const date = new Date(text.replace(/(\.\d{3})\d+/, "$1"));
  if (Number.isNaN(date.getTime())) throw new ProtocolError("a date that cannot be read");
  return date;
}
