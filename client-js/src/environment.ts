// What the client takes from the browser, as interfaces that a test replaces: time, sockets, storage, the page's life.

import { takeSharedToken } from "./share.ts";
import { type TokenStore, tabTokens } from "./tokens.ts";

export interface Clock {
  now(): number;
  /** Calls `action` once after some milliseconds; returns what calls it off. */
  after(milliseconds: number, action: () => void): () => void;
}

export type Socket = Pick<
  WebSocket,
  "binaryType" | "readyState" | "send" | "close" | "onopen" | "onmessage" | "onclose"
>;

export type SocketFactory = (url: string, subprotocol: string) => Socket;

export interface Environment {
  readonly clock: Clock;
  readonly openSocket: SocketFactory;
  /** A place for the token of one more connection to this WebSocket of this analysis. */
  readonly tokens: (url: string, name: string) => TokenStore;
  /** What a page calls itself, made at random. */
  readonly newPage: () => string;
  readonly chance: () => number;
  readonly reload: () => void;
  /** Calls back when it is worth trying again at once; returns what stops it. */
  readonly whenReachable: (action: () => void) => () => void;
}

const browserClock: Clock = {
  now: () => performance.now(),
  after: (milliseconds, action) => {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** 16 hexadecimal characters. `crypto.randomUUID` is there on secure origins only. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function browserEnvironment(): Environment {
  return {
    clock: browserClock,
    openSocket: (url, subprotocol) => new WebSocket(url, subprotocol),
    tokens: (url, name) => tabTokens(url, takeSharedToken(name)),
    newPage: randomName,
    chance: Math.random,
    reload: () => location.reload(),
    whenReachable: (action) => {
      const whenVisible = () => {
        if (document.visibilityState === "visible") action();
      };
      addEventListener("online", action);
      document.addEventListener("visibilitychange", whenVisible);
      return () => {
        removeEventListener("online", action);
        document.removeEventListener("visibilitychange", whenVisible);
      };
    },
  };
}
