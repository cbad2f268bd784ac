// Two pages of one session, over a network that drops, repeats and disconnects, and a bus that loses broadcasts.

import { encode } from "@msgpack/msgpack";
import { expect, test } from "vitest";
import { Attachment, type Instruction } from "../src/attachment.ts";
import { KnownState } from "../src/state.ts";
import { SimulatedSession } from "./support/session.ts";
import { chance, read } from "./support/wire.ts";

type Fate = "once" | "twice" | "never";

/** What a page has seen of signals or of broadcasts, which follow each other without a hole. */
class Stream {
  last = 0;
  delivered = 0;
  lost = 0;

  deliver(number: number): void {
    expect(number).toBe(this.last + 1);
    this.last = number;
    this.delivered += 1;
  }

  skip(count: number): void {
    expect(count).toBeGreaterThan(0);
    this.last += count;
    this.lost += count;
  }
}

class Page {
  readonly name: string;
  readonly attachment: Attachment;
  readonly known = new KnownState();
  readonly streams = { signals: new Stream(), broadcasts: new Stream() };
  readonly emitted: string[] = [];
  readonly toPage: Uint8Array[] = [];
  readonly toSession: Uint8Array[] = [];
  viewer: number | null = null;
  attached = false;

  constructor(name: string, token: string | null) {
    this.name = name;
    this.attachment = new Attachment(name, token);
  }

  connect(viewer: number): void {
    this.viewer = viewer;
    this.perform(this.attachment.opened());
  }

  disconnect(): void {
    this.viewer = null;
    this.toPage.length = this.toSession.length = 0;
    this.attachment.disconnected();
  }

  emit(name: string, value: unknown): void {
    try {
      this.attachment.emit(name, encode(value));
      this.emitted.push(name);
    } catch {
      expect(this.attachment.unaccepted()).toBe(1_024);
    }
    this.perform(this.attachment.flush());
  }

  receive(bytes: Uint8Array, now: number): void {
    const [tag, , , , heard] = read(bytes)[0] ?? [];
    // What was broadcast before the first attach is not missed.
    if (tag === "attached" && !this.attached) this.streams.broadcasts.last = Number(heard);
    if (tag === "attached") this.attached = true;
    this.perform(this.attachment.receive(bytes, now));
  }

  perform(instructions: Instruction[]): void {
    const { signals, broadcasts } = this.streams;
    for (const instruction of instructions) {
      if (instruction.do === "send") this.toSession.push(instruction.frame);
      if (instruction.do === "deliver") {
        const [kind, ...digits] = instruction.name;
        (kind === "s" ? signals : broadcasts).deliver(Number(digits.join("")));
      }
      if (instruction.do === "report gap") this.streams[instruction.gap.kind].skip(instruction.gap.count);
      if (instruction.do === "change state") this.known.apply(instruction.whole, instruction.changes);
      if (instruction.do === "close") this.disconnect();
    }
  }
}

class World {
  readonly pages = [new Page("first", null), new Page("second", "token")] as const;
  readonly session = new SimulatedSession({
    send: (viewer, frame) => this.#of(viewer)?.toPage.push(frame),
    close: (viewer) => this.#of(viewer)?.disconnect(),
  });
  now = 0;
  #viewers = 0;

  connect(page: Page): void {
    this.#viewers += 1;
    page.connect(this.#viewers);
  }

  /** Cuts the line; the session may not notice before the page attaches again. */
  disconnect(page: Page, noticed: boolean): void {
    if (noticed && page.viewer !== null) this.session.detach(page.viewer);
    page.disconnect();
  }

  /** Moves one frame in one direction; the network may repeat it, or lose it. */
  move(page: Page, fate: Fate, toPage: boolean): void {
    const bytes = (toPage ? page.toPage : page.toSession).shift();
    if (!bytes) return;
    const attaching = ["attach", "attached"].includes(String(read(bytes)[0]?.[0]));
    const times = attaching ? 1 : { once: 1, twice: 2, never: 0 }[fate];
    for (let time = 0; time < times && page.viewer !== null; time += 1) {
      if (toPage) page.receive(bytes, this.now);
      else this.session.receive(page.viewer, read(bytes));
    }
  }

  settle(): void {
    for (const page of this.pages) {
      this.disconnect(page, true);
      this.connect(page);
    }
    while (this.pages.some(({ toPage, toSession }) => toPage.length + toSession.length > 0)) {
      for (const page of this.pages) {
        this.move(page, "once", true);
        this.move(page, "once", false);
      }
    }
  }

  #of(viewer: number): Page | undefined {
    return this.pages.find((page) => page.viewer === viewer);
  }
}

function step(world: World, random: () => number): void {
  world.now += Math.floor(random() * 40);
  happen(world, random);
  for (const page of world.pages) {
    if (page.viewer === null && random() < 0.05) world.connect(page);
    const lossy = random();
    const fate = lossy < 0.9 ? "once" : lossy < 0.96 ? "twice" : "never";
    const roll = random();
    if (roll < 0.1) page.emit(`p${page.emitted.length}`, null);
    else if (roll < 0.15) page.emit(`state:${Math.floor(random() * 5)}`, Math.floor(random() * 1_000));
    else if (roll < 0.55) world.move(page, fate, true);
    else if (roll < 0.9) world.move(page, fate, false);
    else if (roll < 0.91) world.disconnect(page, random() < 0.5);
    if (page.viewer !== null) page.perform(page.attachment.tick(world.now));
  }
}

/** Something happens in the session, or on the bus. */
function happen({ session }: World, random: () => number): void {
  const roll = random();
  if (roll < 0.15) session.emit();
  else if (roll < 0.22) session.broadcast(() => random() < 0.9);
  else if (roll < 0.3) session.change(`shared:${Math.floor(random() * 5)}`, Math.floor(random() * 1_000));
  else if (roll < 0.35)
    session.change(`${random() < 0.5 ? "shared" : "state"}:${Math.floor(random() * 5)}`, undefined);
}

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  "whatever the network does, each page sees everything once and in order, or is told how much it lost (seed %d)",
  (seed) => {
    const random = chance(seed);
    const world = new World();
    for (let count = 0; count < 2_000; count += 1) step(world, random);
    world.settle();
    const { session, pages } = world;
    for (const { name, streams, known, emitted, attachment } of pages) {
      expect([streams.signals.last, streams.broadcasts.last]).toEqual([
        session.signals.length,
        session.broadcasts.length,
      ]);
      expect(new Map([...known.names()].map((key) => [key, known.get(key)]))).toEqual(session.state);
      expect(session.handled.get(name)).toEqual(emitted);
      expect(attachment.unaccepted()).toBe(0);
      expect([streams.signals.lost, streams.broadcasts.lost].every((lost) => lost > 0)).toBe(true);
      expect(streams.signals.delivered).toBeGreaterThan(50);
      expect(emitted.length).toBeGreaterThan(100);
    }
  },
);
