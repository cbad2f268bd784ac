// The messages between browser and gateway, their frames, limits and close codes: docs/protocol.md in TypeScript.
// Knows nothing of sockets, sessions or what is inside a payload.

import { Encoder } from "@msgpack/msgpack";
import { ProtocolError } from "./errors.ts";
import { FrameReader } from "./reader.ts";

export const SUBPROTOCOL = "databench.1";

export const LIMITS = {
  frameBytes: 16 * 1024 * 1024,
  joinedBytes: 64 * 1024,
  nameCharacters: 200,
  nesting: 500,
  outboxSignals: 1024,
  outboxBytes: 64 * 1024 * 1024,
  ackSignals: 1024,
  ackBytes: 1024 * 1024,
  ackMilliseconds: 50,
} as const;

export interface Attach {
  readonly tag: "attach";
  readonly token: string | null;
  readonly page: string;
  readonly seen: number;
  readonly heard: number;
}
export interface Signal {
  readonly tag: "signal";
  readonly seq: number;
  readonly name: string;
  readonly payload: Uint8Array;
}
/** What the session emitted in a row under one name; `seq` is the number of the first. */
export interface Signals {
  readonly tag: "signals";
  readonly seq: number;
  readonly name: string;
  readonly payloads: readonly Uint8Array[];
}
export interface Ack {
  readonly tag: "ack";
  readonly seq: number;
  readonly state: number;
}
export interface Attached {
  readonly tag: "attached";
  readonly token: string;
  readonly resumed: boolean;
  readonly received: number;
  readonly heard: number;
}
export interface Accepted {
  readonly tag: "accepted";
  readonly seq: number;
}
export interface Gap {
  readonly tag: "gap";
  readonly seq: number;
  readonly count: number;
}
export interface StateChange {
  readonly tag: "state";
  readonly number: number;
  readonly whole: boolean;
  readonly changes: Uint8Array;
}
/** What went to all pages of the analysis in a row under one name; `number` is that of the first. */
export interface Broadcasts {
  readonly tag: "broadcasts";
  readonly number: number;
  readonly name: string;
  readonly payloads: readonly Uint8Array[];
}
export interface Missed {
  readonly tag: "missed";
  readonly number: number;
  readonly count: number;
}
export interface Ended {
  readonly tag: "ended";
  readonly reason: string;
}
export interface Reload {
  readonly tag: "reload";
  readonly reason: string;
}

export type FromBrowser = Attach | Signal | Ack;
export type ToBrowser =
  | Attached
  | Signals
  | Accepted
  | Gap
  | StateChange
  | Broadcasts
  | Missed
  | Ended
  | Reload;

/** What the page does when its socket was closed with a code. */
export interface Reaction {
  readonly next: "retry" | "retry at once" | "give up";
  readonly text: string;
}

export const CLOSE = { done: 1000, protocolError: 4000, missing: 4003 } as const;

export const REACTIONS: ReadonlyMap<number, Reaction> = new Map([
  [1000, { next: "retry", text: "Connection lost." }],
  [1001, { next: "retry", text: "The server is stopping." }],
  [1003, { next: "give up", text: "The server refused a text message of this page." }],
  [1009, { next: "give up", text: "A signal of this page is larger than the server accepts." }],
  [1012, { next: "retry at once", text: "The server restarts." }],
  [1013, { next: "retry", text: "Nobody runs this analysis at the moment." }],
  [4000, { next: "give up", text: "This page and the server do not understand each other." }],
  [4001, { next: "give up", text: "This page is out of date: reload it." }],
  [4003, { next: "retry at once", text: "Connection lost." }],
  [4004, { next: "give up", text: "No such analysis here." }],
  [4005, { next: "give up", text: "This server does not accept pages from other sites." }],
  [4008, { next: "retry", text: "This page was too slow to read what it was sent." }],
]);

export const LOST: Reaction = { next: "retry", text: "Connection lost." };

const encoder = new Encoder();

function fieldsOf(message: FromBrowser): unknown[] {
  switch (message.tag) {
    case "attach":
      return [message.tag, message.token, message.page, message.seen, message.heard];
    case "signal":
      return [message.tag, message.seq, message.name, message.payload];
    case "ack":
      return [message.tag, message.seq, message.state];
  }
}

export function encode(message: FromBrowser): Uint8Array<ArrayBuffer> {
  return encoder.encode(fieldsOf(message));
}

/** Joins messages to as few frames as the bound on joined frames allows; one that is larger goes alone. */
export function join(messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer>[] {
  const groups: Uint8Array[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    if (size + message.byteLength > LIMITS.joinedBytes) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(message);
    size += message.byteLength;
  }
  return groups.map(concatenate);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

type Decoders = {
  readonly [Tag in ToBrowser["tag"]]: {
    readonly fields: number;
    readonly read: (from: FrameReader) => Extract<ToBrowser, { tag: Tag }>;
  };
};

// Fields are read in the order in which they are written here, which is their order on the wire.
const DECODERS: Decoders = {
  attached: {
    fields: 4,
    read: (from) => ({
      tag: "attached",
      token: from.text(),
      resumed: from.flag(),
      received: from.count(),
      heard: from.count(),
    }),
  },
  signals: {
    fields: 3,
    read: (from) => ({
      tag: "signals",
      seq: from.count(),
      name: nameFrom(from),
      payloads: payloadsFrom(from),
    }),
  },
  accepted: { fields: 1, read: (from) => ({ tag: "accepted", seq: from.count() }) },
  gap: { fields: 2, read: (from) => ({ tag: "gap", seq: from.count(), count: from.count() }) },
  state: {
    fields: 3,
    read: (from) => ({ tag: "state", number: from.count(), whole: from.flag(), changes: from.bytes() }),
  },
  broadcasts: {
    fields: 3,
    read: (from) => ({
      tag: "broadcasts",
      number: from.count(),
      name: nameFrom(from),
      payloads: payloadsFrom(from),
    }),
  },
  missed: { fields: 2, read: (from) => ({ tag: "missed", number: from.count(), count: from.count() }) },
  ended: { fields: 1, read: (from) => ({ tag: "ended", reason: from.text() }) },
  reload: { fields: 1, read: (from) => ({ tag: "reload", reason: from.text() }) },
};

function nameFrom(from: FrameReader): string {
  const name = from.text();
  const problem = problemWithName(name);
  if (problem !== null) throw new ProtocolError(problem);
  return name;
}

function payloadsFrom(from: FrameReader): Uint8Array[] {
  const count = from.arrayHeader();
  if (count === 0) throw new ProtocolError("a run of no signals");
  const payloads: Uint8Array[] = [];
  // Not `new Array(count)`: a frame may claim more than it holds.
  while (payloads.length < count) payloads.push(from.bytes());
  return payloads;
}

export function problemWithName(name: string): string | null {
  if (name === "") return "a signal needs a name";
  if (name.length <= LIMITS.nameCharacters) return null;
  return [...name].length > LIMITS.nameCharacters
    ? `the name of a signal has at most ${LIMITS.nameCharacters} characters`
    : null;
}

/** Decodes a frame for a browser. Whatever is not exactly a frame is refused as a whole. */
export function decode(frame: Uint8Array): ToBrowser[] {
  const from = new FrameReader(frame);
  const messages: ToBrowser[] = [];
  do {
    const length = from.arrayHeader();
    const tag = from.text();
    if (!Object.hasOwn(DECODERS, tag)) throw new ProtocolError(`unknown message: ${tag.slice(0, 40)}`);
    const decoder = DECODERS[tag as ToBrowser["tag"]];
    if (length !== decoder.fields + 1) throw new ProtocolError(`${tag} with ${length - 1} fields`);
    messages.push(decoder.read(from));
  } while (from.more);
  return messages;
}
