// The browser's half of the session log: what a page sees of its session, in order, and what it tells of that.
// Sans-IO: events in, instructions out, time is an argument. Knows nothing of sockets, timers or values.

import { ProtocolError } from "./errors.ts";
import { Outbox } from "./outbox.ts";
import { Owed } from "./owed.ts";
import {
  type Accepted,
  type Attached,
  type Broadcasts,
  CLOSE,
  decode,
  encode,
  type Gap,
  join,
  type Missed,
  type Signals,
  type StateChange,
  type ToBrowser,
} from "./protocol.ts";

export type Instruction =
  | { readonly do: "send"; readonly frame: Uint8Array<ArrayBuffer> }
  | { readonly do: "deliver"; readonly name: string; readonly payload: Uint8Array }
  | { readonly do: "change state"; readonly whole: boolean; readonly changes: Uint8Array }
  | { readonly do: "report gap"; readonly gap: GapNews }
  | { readonly do: "announce"; readonly session: SessionNews }
  | { readonly do: "remember"; readonly token: string | null }
  | { readonly do: "reload page"; readonly reason: string }
  | { readonly do: "attach anew"; readonly reason: string }
  | { readonly do: "close"; readonly code: number; readonly reason: string };

/** What became of the session at an attach. */
export interface SessionNews {
  /** The session is the one that this page was attached to before. */
  readonly resumed: boolean;
  /** There was a session before, and it is over: this is another one. */
  readonly renewed: boolean;
  /** Signals of the earlier session which it never accepted. */
  readonly dropped: number;
  /** Why the earlier session is over, where it said so. */
  readonly reason: string | null;
}

/** How much was lost for this page, of the signals of its session or of the broadcasts to all pages. */
export interface GapNews {
  readonly kind: "signals" | "broadcasts";
  readonly count: number;
}

type Phase = "detached" | "attaching" | "attached";

export class Attachment {
  readonly #page: string;
  #phase: Phase = "detached";
  #token: string | null;
  #established = false;
  #hadSession: boolean;
  /** What the page has not been told yet of a session that is over. */
  #over = { reason: null as string | null, dropped: 0 };

  readonly #outbox = new Outbox();
  readonly #owed = new Owed();
  #seen = 0;
  #heard = 0;
  /** The number of the last state message of this connection. */
  #stated = 0;

  constructor(page: string, token: string | null = null) {
    this.#page = page;
    this.#token = token;
    this.#hadSession = token !== null;
  }

  /** When `tick` is to be called, in the time that the other calls are given. */
  get due(): number | null {
    return this.#owed.due;
  }

  /** The token of the session that this page was attached to, until that is over. */
  get session(): string | null {
    return this.#established ? this.#token : null;
  }

  /** Counts the emitted signals that the session has not accepted, or those of one name. */
  unaccepted(name?: string): number {
    return name === undefined ? this.#outbox.size : this.#outbox.count(name);
  }

  opened(): Instruction[] {
    this.#phase = "attaching";
    const [token, page, seen, heard] = [this.#token, this.#page, this.#seen, this.#heard];
    return [send(encode({ tag: "attach", token, page, seen, heard }))];
  }

  disconnected(): void {
    this.#phase = "detached";
    this.#stated = 0;
    this.#outbox.disconnected();
    this.#owed.settle();
  }

  emit(name: string, payload: Uint8Array): void {
    this.#outbox.add(name, payload);
  }

  /** Sends what was emitted since, joined. */
  flush(): Instruction[] {
    return this.#phase === "attached" ? join(this.#outbox.send()).map(send) : [];
  }

  tick(now: number): Instruction[] {
    return this.#owed.due !== null && now >= this.#owed.due ? this.#acknowledge() : [];
  }

  receive(frame: Uint8Array, now: number): Instruction[] {
    const instructions: Instruction[] = [];
    try {
      for (const message of decode(frame)) {
        if (this.#phase === "detached") break;
        instructions.push(...this.#handle(message, now));
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      instructions.push(...this.#abandon(CLOSE.protocolError, error.message));
    }
    if (this.#owed.state) instructions.push(...this.#acknowledge());
    return instructions;
  }

  #handle(message: ToBrowser, now: number): Instruction[] {
    switch (message.tag) {
      case "attached":
        return this.#attached(message);
      case "ended":
        return this.#ended(message.reason);
      case "reload":
        return [{ do: "reload page", reason: message.reason }];
      default:
        // What comes before the attach is answered is not meant for this page yet: a broadcast may be that early.
        return this.#phase === "attached" ? this.#follow(message, now) : [];
    }
  }

  #follow(message: Exclude<ToBrowser, { tag: "attached" | "ended" | "reload" }>, now: number): Instruction[] {
    switch (message.tag) {
      case "signals":
        return this.#signals(message, now);
      case "gap":
        return this.#gap(message, now);
      case "broadcasts":
        return this.#broadcasts(message);
      case "missed":
        return this.#missed(message);
      case "state":
        return this.#state(message);
      case "accepted":
        return this.#accepted(message);
    }
  }

  #attached({ token, resumed, received, heard }: Attached): Instruction[] {
    if (this.#phase === "attached") throw new ProtocolError("attached out of turn: this page is attached");
    if (this.#established && resumed) {
      if (!this.#outbox.resume(received)) {
        return this.#ended("the session and this page do not agree on what was sent");
      }
    } else {
      if (this.#established) this.#over.dropped += this.#outbox.drop();
      this.#outbox.restart(received);
    }
    if (!resumed) this.#seen = 0;
    this.#heard = heard;
    const session = { resumed, renewed: this.#hadSession && !resumed, ...this.#over };
    this.#over = { reason: null, dropped: 0 };
    this.#token = token;
    this.#established = true;
    this.#hadSession = true;
    this.#phase = "attached";
    return [{ do: "remember", token }, { do: "announce", session }, ...this.flush()];
  }

  #signals({ seq, name, payloads }: Signals, now: number): Instruction[] {
    if (seq > this.#seen + 1) return this.#hole("signal", seq, this.#seen);
    const fresh = payloads.slice(this.#seen + 1 - seq);
    if (fresh.length === 0) return this.#again(now);
    this.#seen += fresh.length;
    const bytes = fresh.reduce((sum, payload) => sum + payload.byteLength, 0);
    return [...fresh.map((payload) => deliver(name, payload)), ...this.#owe(fresh.length, bytes, now)];
  }

  #gap({ seq, count }: Gap, now: number): Instruction[] {
    if (seq <= this.#seen) return this.#again(now);
    this.#seen = seq;
    return [{ do: "report gap", gap: { kind: "signals", count } }, ...this.#owe(1, 0, now)];
  }

  #broadcasts({ number, name, payloads }: Broadcasts): Instruction[] {
    if (number > this.#heard + 1) return this.#hole("broadcast", number, this.#heard);
    const fresh = payloads.slice(this.#heard + 1 - number);
    this.#heard += fresh.length;
    return fresh.map((payload) => deliver(name, payload));
  }

  #missed({ number, count }: Missed): Instruction[] {
    if (number <= this.#heard) return [];
    this.#heard = number;
    return [{ do: "report gap", gap: { kind: "broadcasts", count } }];
  }

  #state({ number, whole, changes }: StateChange): Instruction[] {
    if (number > this.#stated + 1) return this.#hole("state", number, this.#stated);
    this.#owed.change();
    if (number <= this.#stated) return [];
    this.#stated = number;
    return [{ do: "change state", whole, changes }];
  }

  #accepted({ seq }: Accepted): Instruction[] {
    if (!this.#outbox.accept(seq)) throw new ProtocolError(`signal ${seq} was accepted, but never sent`);
    return [];
  }

  #ended(reason: string): Instruction[] {
    this.#over.reason = reason;
    if (this.#established) this.#over.dropped += this.#outbox.drop();
    this.#token = null;
    this.#established = false;
    this.#hadSession = true;
    this.#seen = this.#heard = 0;
    this.disconnected();
    return [
      { do: "remember", token: null },
      { do: "attach anew", reason },
    ];
  }

  #hole(what: string, number: number, last: number): Instruction[] {
    return this.#abandon(CLOSE.missing, `${what} ${number} came after ${last}`);
  }

  #abandon(code: number, reason: string): Instruction[] {
    this.disconnected();
    return [{ do: "close", code, reason }];
  }

  #owe(signals: number, bytes: number, now: number): Instruction[] {
    return this.#owed.signals(signals, bytes, now) ? this.#acknowledge() : [];
  }

  #again(now: number): Instruction[] {
    this.#owed.again(now);
    return [];
  }

  #acknowledge(): Instruction[] {
    this.#owed.settle();
    return [send(encode({ tag: "ack", seq: this.#seen, state: this.#stated }))];
  }
}

function deliver(name: string, payload: Uint8Array): Instruction {
  return { do: "deliver", name, payload };
}

function send(frame: Uint8Array<ArrayBuffer>): Instruction {
  return { do: "send", frame };
}
