// A browser that tests conduct: sockets that are opened and closed by hand, and time that moves when told.

import type { Clock, Environment, Socket } from "../../src/environment.ts";
import type { TokenStore } from "../../src/tokens.ts";
import { frame, type Message, read } from "./wire.ts";

export class FakeSocket implements Socket {
  binaryType: BinaryType = "blob";
  readyState = 0;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  readonly sent: Message[] = [];
  frames = 0;
  closedWith: number | null | undefined = undefined;

  readonly url: string;
  readonly subprotocol: string;

  constructor(url: string, subprotocol: string) {
    this.url = url;
    this.subprotocol = subprotocol;
  }

  send(data: unknown): void {
    if (this.readyState !== 1) throw new Error("the socket is not open");
    this.frames += 1;
    this.sent.push(...read(data as Uint8Array));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith = code ?? null;
  }

  open(): this {
    this.readyState = 1;
    this.onopen?.call(this as never, new Event("open"));
    return this;
  }

  /** The gateway sends one frame with these messages. */
  receive(...messages: Message[]): this {
    return this.receiveRaw(frame(...messages).buffer);
  }

  receiveRaw(data: unknown): this {
    this.onmessage?.call(this as never, { data } as MessageEvent);
    return this;
  }

  /** Opens and answers the attach. */
  attach(token = "t", resumed = false, received = 0, heard = 0): this {
    return this.open().receive(["attached", token, resumed, received, heard]);
  }

  /** The other side closes, or the line is cut (1006). */
  cut(code = 1006): void {
    this.readyState = 3;
    this.onclose?.call(this as never, { code } as CloseEvent);
  }
}

export class FakeClock implements Clock {
  #now = 0;
  #timers: { at: number; action: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, action: () => void): () => void {
    const timer = { at: this.#now + milliseconds, action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.#timers.length;
  }

  advance(milliseconds: number): void {
    const until = this.#now + milliseconds;
    for (;;) {
      const next = this.#timers.toSorted((one, other) => one.at - other.at)[0];
      if (!next || next.at > until) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.action();
    }
    this.#now = until;
  }
}

export class FakeTokens implements TokenStore {
  #kept: string | null = null;
  closed = false;

  read(): string | null {
    return this.#kept;
  }

  write(token: string | null): void {
    this.#kept = token;
  }

  close(): void {
    this.#kept = null;
    this.closed = true;
  }
}

export class FakeBrowser {
  readonly sockets: FakeSocket[] = [];
  readonly clock = new FakeClock();
  readonly tokens = new FakeTokens();
  reloads = 0;
  reachable: () => void = () => {};

  readonly environment: Environment = {
    clock: this.clock,
    tokens: () => this.tokens,
    newPage: () => "page",
    chance: () => 1,
    reload: () => {
      this.reloads += 1;
    },
    openSocket: (url, subprotocol) => {
      const socket = new FakeSocket(url, subprotocol);
      this.sockets.push(socket);
      return socket;
    },
    whenReachable: (action) => {
      this.reachable = action;
      return () => {
        this.reachable = () => {};
      };
    },
  };

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }
}
