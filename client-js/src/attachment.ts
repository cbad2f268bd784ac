// The browser's half of the session log: numbers in both directions, acknowledgements, what to send again.
// Sans-IO: events in, instructions out, time is an argument. Knows nothing of sockets, timers or values.

import { OutboxFullError, ProtocolError } from "./errors.ts";
import {
  type Ack,
  type Attached,
  CLOSE,
  decode,
  encode,
  type Gap,
  join,
  LIMITS,
  type Signal,
  type ToBrowser,
} from "./protocol.ts";

export type Instruction =
  | { readonly do: "send"; readonly frame: Uint8Array<ArrayBuffer> }
  | { readonly do: "deliver"; readonly name: string; readonly payload: Uint8Array }
  | { readonly do: "report gap"; readonly count: number }
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
}

type State = "detached" | "attaching" | "attached";

/** What may arrive in each state; anything else is out of turn. */
const EXPECTED: Readonly<Record<State, ReadonlySet<ToBrowser["tag"]>>> = {
  detached: new Set(),
  attaching: new Set(["attached", "ended", "reload"]),
  attached: new Set(["signal", "ack", "gap", "ended", "reload"]),
};

interface Pending {
  readonly name: string;
  readonly payload: Uint8Array;
}

export class Attachment {
  #state: State = "detached";
  #token: string | null;
  #established = false;
  #hadSession: boolean;

  #outbox: Pending[] = [];
  #accepted = 0;
  #sent = 0;

  #seen = 0;
  #owed = { signals: 0, bytes: 0, due: null as number | null };

  constructor(token: string | null = null) {
    this.#token = token;
    this.#hadSession = token !== null;
  }

  /** When `tick` is to be called, in the time that the other calls are given. */
  get due(): number | null {
    return this.#owed.due;
  }

  /** Counts the emitted signals that the session has not acknowledged. */
  get unacknowledged(): number {
    return this.#outbox.length;
  }

  opened(): Instruction[] {
    this.#state = "attaching";
    return [send(encode({ tag: "attach", token: this.#token, seen: this.#seen }))];
  }

  disconnected(): void {
    this.#state = "detached";
    this.#sent = 0;
    this.#settle();
  }

  emit(name: string, payload: Uint8Array): void {
    if (this.#outbox.length >= LIMITS.outboxSignals) {
      throw new OutboxFullError(
        `${LIMITS.outboxSignals} signals wait for the server's acknowledgement; "${name}" was not emitted`,
      );
    }
    this.#outbox.push({ name, payload });
  }

  /** Sends what was emitted since, joined. */
  flush(): Instruction[] {
    if (this.#state !== "attached" || this.#sent === this.#outbox.length) return [];
    const first = this.#accepted + this.#sent + 1;
    const messages = this.#outbox
      .slice(this.#sent)
      .map((pending, index) => encode({ tag: "signal", seq: first + index, ...pending }));
    this.#sent = this.#outbox.length;
    return join(messages).map(send);
  }

  tick(now: number): Instruction[] {
    return this.#owed.due !== null && now >= this.#owed.due ? this.#acknowledge() : [];
  }

  receive(frame: Uint8Array, now: number): Instruction[] {
    const instructions: Instruction[] = [];
    try {
      for (const message of decode(frame)) {
        if (this.#state === "detached") break;
        instructions.push(...this.#handle(message, now));
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      instructions.push(...this.#abandon(CLOSE.protocolError, error.message));
    }
    return instructions;
  }

  #handle(message: ToBrowser, now: number): Instruction[] {
    if (!EXPECTED[this.#state].has(message.tag)) {
      throw new ProtocolError(`${message.tag} out of turn (${this.#state})`);
    }
    switch (message.tag) {
      case "attached":
        return this.#attached(message);
      case "signal":
        return this.#signal(message, now);
      case "ack":
        return this.#ack(message);
      case "gap":
        return this.#gap(message, now);
      case "ended":
        return this.#ended(message.reason);
      case "reload":
        return [{ do: "reload page", reason: message.reason }];
    }
  }

  #attached({ token, resumed, received }: Attached): Instruction[] {
    let dropped = 0;
    if (!this.#established || !resumed) {
      if (this.#established) dropped = this.#outbox.splice(0).length;
      if (!resumed) this.#seen = 0;
    } else {
      const taken = received - this.#accepted;
      if (taken < 0 || taken > this.#outbox.length) {
        return this.#ended("the session and this page do not agree on what was sent");
      }
      this.#outbox.splice(0, taken);
    }
    this.#accepted = received;
    const renewed = this.#hadSession && !resumed;
    this.#token = token;
    this.#established = true;
    this.#hadSession = true;
    this.#state = "attached";
    return [
      { do: "remember", token },
      { do: "announce", session: { resumed, renewed, dropped } },
      ...this.flush(),
    ];
  }

  #signal({ seq, name, payload }: Signal, now: number): Instruction[] {
    if (seq > this.#seen + 1) {
      return this.#abandon(CLOSE.missing, `signal ${seq} came after ${this.#seen}`);
    }
    if (seq <= this.#seen) return this.#owe(0, 0, now);
    this.#seen = seq;
    return [{ do: "deliver", name, payload }, ...this.#owe(1, payload.byteLength, now)];
  }

  #gap({ seq, count }: Gap, now: number): Instruction[] {
    if (seq <= this.#seen) return this.#owe(0, 0, now);
    this.#seen = seq;
    return [{ do: "report gap", count }, ...this.#owe(1, 0, now)];
  }

  #ack({ seq }: Ack): Instruction[] {
    const taken = seq - this.#accepted;
    if (taken > this.#sent) throw new ProtocolError(`signal ${seq} was acknowledged, but never sent`);
    if (taken > 0) {
      this.#outbox.splice(0, taken);
      this.#sent -= taken;
      this.#accepted = seq;
    }
    return [];
  }

  #ended(reason: string): Instruction[] {
    const dropped = this.#established ? this.#outbox.splice(0).length : 0;
    this.#token = null;
    this.#established = false;
    this.#hadSession = true;
    this.#accepted = 0;
    this.#seen = 0;
    this.disconnected();
    const lost = dropped ? `${reason} (${dropped} signals were not accepted)` : reason;
    return [
      { do: "remember", token: null },
      { do: "attach anew", reason: lost },
    ];
  }

  #abandon(code: number, reason: string): Instruction[] {
    this.disconnected();
    return [{ do: "close", code, reason }];
  }

  #owe(signals: number, bytes: number, now: number): Instruction[] {
    const owed = this.#owed;
    owed.signals += signals;
    owed.bytes += bytes;
    owed.due ??= now + LIMITS.ackMilliseconds;
    return owed.signals >= LIMITS.ackSignals || owed.bytes >= LIMITS.ackBytes ? this.#acknowledge() : [];
  }

  #acknowledge(): Instruction[] {
    this.#settle();
    return [send(encode({ tag: "ack", seq: this.#seen }))];
  }

  #settle(): void {
    this.#owed = { signals: 0, bytes: 0, due: null };
  }
}

function send(frame: Uint8Array<ArrayBuffer>): Instruction {
  return { do: "send", frame };
}
