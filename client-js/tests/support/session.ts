// A session with its state and broadcasts, as short as the protocol allows, for pages that are simulated.

import { decode, encode } from "@msgpack/msgpack";
import { broadcast, frame, type Message, signal } from "./wire.ts";

const SIGNALS_KEPT = 10;
const BROADCASTS_KEPT = 4;

interface Viewer {
  readonly page: string;
  told: number;
  number: number;
  acked: number;
}

/** How a session reaches the pages that watch it. */
export interface Line {
  send(viewer: number, frame: Uint8Array): void;
  close(viewer: number): void;
}

export class SimulatedSession {
  readonly signals: string[] = [];
  readonly broadcasts: string[] = [];
  readonly state = new Map<string, unknown>();
  /** The signals that were accepted, by page. */
  readonly handled = new Map<string, string[]>();
  readonly #line: Line;
  readonly #viewers = new Map<number, Viewer>();
  /** The version at which each name changed last, also of those that are gone. */
  readonly #changed = new Map<string, number>();
  #version = 0;

  constructor(line: Line) {
    this.#line = line;
  }

  emit(): void {
    this.signals.push(`s${this.signals.length + 1}`);
    for (const viewer of this.#viewers.keys()) {
      this.#send(viewer, this.#signal(this.signals.length));
    }
  }

  /** Tells all viewers but those that the bus loses it for. */
  broadcast(reaches: () => boolean): void {
    this.broadcasts.push(`b${this.broadcasts.length + 1}`);
    for (const viewer of this.#viewers.keys()) {
      if (reaches()) this.#send(viewer, this.#broadcast(this.broadcasts.length));
    }
  }

  change(name: string, value: unknown): void {
    this.#version += 1;
    this.#changed.set(name, this.#version);
    if (value === undefined) this.state.delete(name);
    else this.state.set(name, value);
    for (const viewer of this.#viewers.keys()) this.#tell(viewer);
  }

  detach(viewer: number): void {
    this.#viewers.delete(viewer);
  }

  receive(viewer: number, messages: Message[]): void {
    for (const [tag, ...fields] of messages) {
      if (tag === "attach") this.#attach(viewer, fields as never);
      else if (!this.#viewers.has(viewer)) return;
      else if (tag === "signal") this.#accept(viewer, fields as never);
      else this.#acknowledge(viewer, fields as never);
    }
  }

  #attach(viewer: number, [token, page, seen, heard]: [string | null, string, number, number]): void {
    for (const [other, { page: its }] of this.#viewers) {
      if (its === page) this.detach(other);
    }
    this.#viewers.set(viewer, { page, told: 0, number: 0, acked: 0 });
    const handled = this.handled.get(page) ?? [];
    this.handled.set(page, handled);
    const from = token === null ? this.broadcasts.length : heard;
    this.#send(viewer, ["attached", "token", token !== null, handled.length, from]);
    this.#tell(viewer);
    const first = Math.max(seen, this.signals.length - SIGNALS_KEPT);
    if (first > seen) this.#send(viewer, ["gap", first, first - seen]);
    for (let seq = first + 1; seq <= this.signals.length; seq += 1) this.#send(viewer, this.#signal(seq));
    const next = Math.max(from, this.broadcasts.length - BROADCASTS_KEPT);
    if (next > from) this.#send(viewer, ["missed", next, next - from]);
    for (let number = next + 1; number <= this.broadcasts.length; number += 1) {
      this.#send(viewer, this.#broadcast(number));
    }
  }

  #accept(viewer: number, [seq, name, payload]: [number, string, Uint8Array]): void {
    const handled = this.handled.get(this.#viewers.get(viewer)?.page ?? "") ?? [];
    if (seq > handled.length + 1) {
      this.detach(viewer);
      this.#line.close(viewer);
      return;
    }
    if (seq === handled.length + 1) {
      handled.push(name);
      if (name.startsWith("state:")) this.change(name, decode(payload));
    }
    this.#send(viewer, ["accepted", handled.length]);
  }

  #acknowledge(viewer: number, [, state]: [number, number]): void {
    const reader = this.#viewers.get(viewer) as Viewer;
    reader.acked = Math.max(reader.acked, state);
    this.#tell(viewer);
  }

  /** Tells what changed, once what was told before is known to be handled. */
  #tell(viewer: number): void {
    const reader = this.#viewers.get(viewer) as Viewer;
    const whole = reader.number === 0;
    if (reader.acked < reader.number || (!whole && reader.told === this.#version)) return;
    const changed = [...this.#changed].filter(([, version]) => version > reader.told).map(([name]) => name);
    const values = changed.filter((name) => this.state.has(name)).map((name) => [name, this.state.get(name)]);
    const removed = whole ? [] : changed.filter((name) => !this.state.has(name));
    reader.number += 1;
    reader.told = this.#version;
    this.#send(viewer, ["state", reader.number, whole, encode([Object.fromEntries(values), removed])]);
  }

  #send(viewer: number, message: Message): void {
    this.#line.send(viewer, frame(message));
  }

  #signal(seq: number): Message {
    return signal(seq, this.signals[seq - 1] as string, seq);
  }

  #broadcast(number: number): Message {
    return broadcast(number, this.broadcasts[number - 1] as string, number);
  }
}
