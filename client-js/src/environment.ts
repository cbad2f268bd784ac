// What the client takes from the browser, as interfaces that a test replaces: time, sockets, storage, the page's life.

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

/** Keeps the token of the session. In memory, a reload of the page starts a new session. */
export interface TokenStore {
  read(): string | null;
  write(token: string | null): void;
}

export interface Environment {
  readonly clock: Clock;
  readonly openSocket: SocketFactory;
  readonly tokens: TokenStore;
  readonly chance: () => number;
  readonly reload: () => void;
  /** Calls back when it is worth trying again at once; returns what stops it. */
  readonly whenReachable: (action: () => void) => () => void;
}

export function memoryTokens(): TokenStore {
  let kept: string | null = null;
  return {
    read: () => kept,
    write: (token) => {
      kept = token;
    },
  };
}

const browserClock: Clock = {
  now: () => performance.now(),
  after: (milliseconds, action) => {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
};

export function browserEnvironment(): Environment {
  return {
    clock: browserClock,
    openSocket: (url, subprotocol) => new WebSocket(url, subprotocol),
    tokens: memoryTokens(),
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
