// The gateway's side of the wire for tests: what it would send, and what it reads from a page.

import { decodeMulti, encode } from "@msgpack/msgpack";

export type Message = unknown[];

export function frame(...messages: Message[]): Uint8Array<ArrayBuffer> {
  const parts = messages.map((message) => encode(message));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function signal(seq: number, name: string, value: unknown = null): Message {
  return signals(seq, name, [value]);
}

export function signals(seq: number, name: string, values: unknown[]): Message {
  return ["signals", seq, name, values.map((value) => encode(value))];
}

export function broadcast(number: number, name: string, value: unknown = null): Message {
  return broadcasts(number, name, [value]);
}

export function broadcasts(number: number, name: string, values: unknown[]): Message {
  return ["broadcasts", number, name, values.map((value) => encode(value))];
}

export function state(
  number: number,
  whole: boolean,
  values: Record<string, unknown>,
  removed: string[] = [],
): Message {
  return ["state", number, whole, encode([values, removed])];
}

export function read(bytes: Uint8Array): Message[] {
  return [...decodeMulti(bytes)] as Message[];
}

/** A small generator of chance that gives the same numbers for the same seed. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
