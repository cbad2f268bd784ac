// Where the token of a session is kept: in memory while the page lives, and in the tab's storage only from when the
// page is left until it is loaded next. So a reload finds its session, and a tab that is duplicated does not take it.

/** Keeps the token of one connection's session. */
export interface TokenStore {
  read(): string | null;
  write(token: string | null): void;
  /** The page is done with its session: nothing is kept any more. */
  close(): void;
}

const connections = new Map<string, number>();

/** The tokens of one more connection of this page to `url`; `given` comes before what an earlier load left. */
export function tabTokens(url: string, given: string | null = null): TokenStore {
  const ordinal = connections.get(url) ?? 0;
  connections.set(url, ordinal + 1);
  const key = `databench ${ordinal} ${url}`;
  const left = take(key);
  let kept = given ?? left;

  const leave = () => {
    if (kept !== null) leaveBehind(key, kept);
  };
  const comeBack = (event: PageTransitionEvent) => {
    if (event.persisted) take(key);
  };
  addEventListener("pagehide", leave);
  addEventListener("pageshow", comeBack);
  return {
    read: () => kept,
    write: (token) => {
      kept = token;
    },
    close: () => {
      kept = null;
      removeEventListener("pagehide", leave);
      removeEventListener("pageshow", comeBack);
    },
  };
}

// A browser that keeps no data for this site throws at each of these; a reload begins a new session then.

function take(key: string): string | null {
  try {
    const token = sessionStorage.getItem(key);
    if (token !== null) sessionStorage.removeItem(key);
    return token;
  } catch {
    return null;
  }
}

function leaveBehind(key: string, token: string): void {
  try {
    sessionStorage.setItem(key, token);
  } catch {}
}
