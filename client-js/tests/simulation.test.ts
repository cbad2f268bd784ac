// The page's half of the log against a small session, over a network that drops, repeats and disconnects.

import { encode } from "@msgpack/msgpack";
import { expect, test } from "vitest";
import { Attachment, type Instruction } from "../src/attachment.ts";
import { chance, frame, type Message, read } from "./support/wire.ts";

/** The session's half, as short as the protocol allows. */
class Session {
  readonly handled: string[] = [];
  readonly log: string[] = [];
  attached = false;

  emit(name: string): Uint8Array[] {
    this.log.push(name);
    return this.attached ? [this.#signal(this.log.length)] : [];
  }

  /** Returns the frames of the answer, or null where the connection is to be closed. */
  receive(messages: Message[]): Uint8Array[] | null {
    const answers: Uint8Array[] = [];
    for (const [tag, first, second] of messages) {
      if (tag === "attach") {
        this.attached = true;
        answers.push(frame(["attached", "token", first !== null, this.handled.length]));
        for (let seq = Number(second) + 1; seq <= this.log.length; seq += 1) answers.push(this.#signal(seq));
      } else if (tag === "signal") {
        if (Number(first) > this.handled.length + 1) return null;
        if (Number(first) === this.handled.length + 1) this.handled.push(String(second));
        answers.push(frame(["ack", this.handled.length]));
      }
    }
    return answers;
  }

  #signal(seq: number): Uint8Array {
    return frame(["signal", seq, this.log[seq - 1], encode(seq)]);
  }
}

class World {
  readonly session = new Session();
  readonly page = new Attachment();
  readonly emitted: string[] = [];
  readonly delivered: string[] = [];
  now = 0;
  connected = false;
  #toPage: Uint8Array[] = [];
  #toSession: Uint8Array[] = [];

  connect(): void {
    this.connected = true;
    this.perform(this.page.opened());
  }

  disconnect(): void {
    this.connected = false;
    this.session.attached = false;
    this.#toPage = [];
    this.#toSession = [];
    this.page.disconnected();
  }

  perform(instructions: Instruction[]): void {
    for (const instruction of instructions) {
      if (instruction.do === "send") this.#toSession.push(instruction.frame);
      if (instruction.do === "deliver") this.delivered.push(instruction.name);
      if (instruction.do === "close") this.disconnect();
    }
  }

  emitFromPage(): void {
    const name = `p${this.emitted.length}`;
    try {
      this.page.emit(name, encode(null));
      this.emitted.push(name);
    } catch {
      expect(this.page.unacknowledged).toBe(1_024);
    }
    this.perform(this.page.flush());
  }

  emitFromSession(): void {
    this.#toPage.push(...this.session.emit(`s${this.session.log.length}`));
  }

  /** Moves one frame in one direction; the network may repeat it, or lose it. */
  move(fate: "once" | "twice" | "never", toPage: boolean): void {
    const bytes = (toPage ? this.#toPage : this.#toSession).shift();
    if (!bytes) return;
    const attaching = ["attach", "attached"].includes(String(read(bytes)[0]?.[0]));
    const times = attaching ? 1 : { once: 1, twice: 2, never: 0 }[fate];
    for (let time = 0; time < times && this.connected; time += 1) {
      if (toPage) this.perform(this.page.receive(bytes, this.now));
      else this.#answer(this.session.receive(read(bytes)));
    }
  }

  settle(): void {
    this.disconnect();
    this.connect();
    while (this.#toPage.length > 0 || this.#toSession.length > 0) {
      this.move("once", true);
      this.move("once", false);
    }
  }

  #answer(answers: Uint8Array[] | null): void {
    if (answers) this.#toPage.push(...answers);
    else this.disconnect();
  }
}

function step(world: World, random: () => number): void {
  world.now += Math.floor(random() * 40);
  if (!world.connected && random() < 0.3) world.connect();
  const roll = random();
  const lossy = random();
  const fate = lossy < 0.9 ? "once" : lossy < 0.96 ? "twice" : "never";
  if (roll < 0.25) world.emitFromPage();
  else if (roll < 0.5) world.emitFromSession();
  else if (roll < 0.7) world.move(fate, true);
  else if (roll < 0.95) world.move(fate, false);
  else if (roll < 0.96) world.disconnect();
  if (world.connected) world.perform(world.page.tick(world.now));
}

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  "every signal arrives once and in order, in both directions, whatever the network does (seed %d)",
  (seed) => {
    const random = chance(seed);
    const world = new World();
    for (let count = 0; count < 1_500; count += 1) step(world, random);
    world.settle();
    expect(world.delivered).toEqual(world.session.log);
    expect(world.session.handled).toEqual(world.emitted);
    expect(world.page.unacknowledged).toBe(0);
    expect(world.emitted.length).toBeGreaterThan(200);
  },
);
