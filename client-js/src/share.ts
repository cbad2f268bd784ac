// The link that leads to a session: the address of its page with `#databench=ANALYSIS:TOKEN`.
// The token does not stay in the address bar, where it would be copied, shown and remembered.

import type { Off } from "./events.ts";

const FRAGMENT = /^#databench=(.*):([A-Za-z0-9_.-]+)$/s;

export function shareLink(page: string, name: string, token: string): string {
  const link = new URL(page);
  link.hash = `databench=${encodeURIComponent(name)}:${token}`;
  return link.href;
}

/** The token in a page's address, where that is a link to a session of this analysis. */
export function sharedToken(page: string, name: string): string | null {
  const [, analysis, token] = FRAGMENT.exec(decoded(new URL(page).hash)) ?? [];
  return analysis === name ? (token ?? null) : null;
}

/** Takes the token out of the address bar. */
export function takeSharedToken(name: string): string | null {
  const token = sharedToken(location.href, name);
  if (token === null) return null;
  const bare = new URL(location.href);
  bare.hash = "";
  history.replaceState(history.state, "", bare);
  return token;
}

/** Loads the page again when a link is opened in a tab that shows its page already: the browser does not. */
export function followSharedLinks(name: string, reload: () => void): Off {
  const follow = () => {
    if (sharedToken(location.href, name) !== null) reload();
  };
  addEventListener("hashchange", follow);
  return () => removeEventListener("hashchange", follow);
}

function decoded(hash: string): string {
  try {
    return decodeURIComponent(hash);
  } catch {
    return hash;
  }
}
