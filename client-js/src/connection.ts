// One WebSocket at a time: performs what the attachment instructs, and comes back after a drop.
// Decides nothing about signals; knows nothing of elements.

import { Attachment, type GapNews, type Instruction, type SessionNews } from "./attachment.ts";
import { Backoff } from "./backoff.ts";
import type { Environment, Socket } from "./environment.ts";
import { DatabenchError } from "./errors.ts";
import { CLOSE, LOST, REACTIONS, type Reaction, SUBPROTOCOL } from "./protocol.ts";
import type { TokenStore } from "./tokens.ts";

/** The state of the connection, and what people should know about it. */
export type Status =
  | { readonly state: "connecting" }
  | { readonly state: "open" }
  | { readonly state: "waiting"; readonly text: string; readonly until: number }
  | { readonly state: "closed"; readonly text: string; readonly code: number | null };

/** Whom the connection tells what happens. */
export interface Listener {
  status(status: Status): void;
  signal(name: string, payload: Uint8Array): void;
  state(whole: boolean, changes: Uint8Array): void;
  session(news: SessionNews): void;
  gap(gap: GapNews): void;
}

const ATTACH_PATIENCE = 10_000;
const OF_USE_AFTER = 5_000;

export class Connection {
  readonly #url: string;
  readonly #listener: Listener;
  readonly #environment: Environment;
  readonly #tokens: TokenStore;
  readonly #attachment: Attachment;
  readonly #backoff = new Backoff();
  readonly #stopListening: () => void;

  #status: Status = { state: "connecting" };
  #socket: Socket | null = null;
  #openSince: number | null = null;
  #flushing = false;
  #callOffAttempt: () => void = nothing;
  #callOffPatience: () => void = nothing;
  #callOffTick: () => void = nothing;

  constructor(url: string, tokens: TokenStore, listener: Listener, environment: Environment) {
    this.#url = url;
    this.#listener = listener;
    this.#environment = environment;
    this.#tokens = tokens;
    this.#attachment = new Attachment(environment.newPage(), tokens.read());
    this.#stopListening = environment.whenReachable(() => this.retry());
    this.#connect();
  }

  get status(): Status {
    return this.#status;
  }

  /** The token of the session that was attached last, until that is over. */
  get session(): string | null {
    return this.#status.state === "closed" ? null : this.#attachment.session;
  }

  /** Counts the emitted signals of one name that the session has not accepted. */
  unaccepted(name: string): number {
    return this.#attachment.unaccepted(name);
  }

  emit(name: string, payload: Uint8Array): void {
    if (this.#status.state === "closed") {
      throw new DatabenchError(`"${name}" was not emitted, the connection is closed: ${this.#status.text}`);
    }
    this.#attachment.emit(name, payload);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.#flush());
  }

  /** Tries again now instead of later. */
  retry(): void {
    if (this.#status.state === "waiting") this.#connect();
  }

  close(): void {
    this.#tokens.close();
    if (this.#status.state === "closed") return;
    this.#flush();
    this.#detach()?.close(CLOSE.done);
    this.#finish("The page closed the connection.", null);
  }

  #connect(): void {
    this.#callOffAttempt();
    this.#enter({ state: "connecting" });
    const socket = this.#environment.openSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#perform(socket, this.#attachment.opened());
    socket.onmessage = ({ data }) => this.#receive(socket, data);
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#lost(REACTIONS.get(code) ?? LOST, code);
    };
    this.#callOffPatience = this.#environment.clock.after(ATTACH_PATIENCE, () => {
      this.#detach()?.close();
      this.#comeBack({ next: "retry", text: "The server does not answer." });
    });
  }

  #receive(socket: Socket, data: unknown): void {
    if (this.#socket !== socket) return;
    if (!(data instanceof ArrayBuffer)) {
      this.#hangUp(CLOSE.protocolError, "text instead of a frame");
      return;
    }
    this.#perform(socket, this.#attachment.receive(new Uint8Array(data), this.#environment.clock.now()));
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#socket) this.#perform(this.#socket, this.#attachment.flush());
  }

  #perform(socket: Socket, instructions: readonly Instruction[]): void {
    for (const instruction of instructions) {
      if (this.#socket !== socket) return;
      this.#performOne(socket, instruction);
    }
    this.#armTick();
  }

  #performOne(socket: Socket, instruction: Instruction): void {
    switch (instruction.do) {
      case "send":
        if (socket.readyState === OPEN) socket.send(instruction.frame);
        return;
      case "deliver":
        this.#backoff.progress();
        this.#listener.signal(instruction.name, instruction.payload);
        return;
      case "change state":
        this.#listener.state(instruction.whole, instruction.changes);
        return;
      case "report gap":
        this.#listener.gap(instruction.gap);
        return;
      case "remember":
        this.#tokens.write(instruction.token);
        return;
      case "announce":
        this.#opened(instruction.session);
        return;
      case "reload page":
        this.#environment.reload();
        return;
      case "attach anew":
        console.warn(`Databench: the session is over: ${instruction.reason}`);
        this.#detach()?.close(CLOSE.done);
        this.#comeBack({ next: "retry at once", text: "The session is over." });
        return;
      case "close":
        this.#hangUp(instruction.code, instruction.reason);
        return;
    }
  }

  #opened(news: SessionNews): void {
    this.#callOffPatience();
    this.#openSince = this.#environment.clock.now();
    this.#enter({ state: "open" });
    if (news.dropped > 0) {
      console.warn(`Databench: ${news.dropped} signals were not accepted before their session ended`);
    }
    this.#listener.session(news);
  }

  /** Closes the socket and reacts as if the other side had closed it with this code. */
  #hangUp(code: number, reason: string): void {
    console.warn(`Databench: closing the connection (${code}): ${reason}`);
    this.#detach()?.close(code);
    this.#react(REACTIONS.get(code) ?? LOST, code);
  }

  #lost(reaction: Reaction, code: number): void {
    this.#detach();
    this.#react(reaction, code);
  }

  #react(reaction: Reaction, code: number): void {
    if (reaction.next === "give up") this.#finish(reaction.text, code);
    else this.#comeBack(reaction);
  }

  #comeBack(reaction: Reaction): void {
    const { clock, chance } = this.#environment;
    const delay = this.#backoff.next(reaction.next === "retry at once", chance());
    this.#callOffAttempt = clock.after(delay, () => this.#connect());
    this.#enter({ state: "waiting", text: reaction.text, until: clock.now() + delay });
  }

  /** Lets go of the socket: nothing that it does later is heard. */
  #detach(): Socket | null {
    const socket = this.#socket;
    this.#socket = null;
    this.#callOffPatience();
    this.#callOffTick();
    this.#attachment.disconnected();
    const { clock } = this.#environment;
    if (this.#openSince !== null && clock.now() - this.#openSince >= OF_USE_AFTER) this.#backoff.progress();
    this.#openSince = null;
    return socket;
  }

  #finish(text: string, code: number | null): void {
    this.#callOffAttempt();
    this.#stopListening();
    this.#enter({ state: "closed", text, code });
  }

  #enter(status: Status): void {
    this.#status = status;
    this.#listener.status(status);
  }

  #armTick(): void {
    const { clock } = this.#environment;
    const { due } = this.#attachment;
    this.#callOffTick();
    if (due === null) return;
    this.#callOffTick = clock.after(Math.max(0, due - clock.now()), () => {
      if (this.#socket) this.#perform(this.#socket, this.#attachment.tick(clock.now()));
    });
  }
}

const OPEN = 1;

function nothing(): void {}
