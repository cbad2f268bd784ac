// Where the WebSocket of an analysis is, as seen from the client's own script or, failing that, from the page.

import { DatabenchError } from "./errors.ts";

const SCRIPT = /static\/client\/[^/]+$/;

/** `<base>/static/client/databench.js` leads to `<base>/ws/NAME`, and http to ws. */
export function socketAddress(name: string, script: string | null, page: string): string {
  const url = new URL(script ?? page, page);
  const base = script !== null && SCRIPT.test(url.pathname) ? url.pathname.replace(SCRIPT, "") : "/";
  url.pathname = `${base}ws/${encodeURIComponent(name)}`;
  return asSocket(url);
}

/** Resolves an address that the author gave, which may be relative and may say http. */
export function givenAddress(address: string, page: string): string {
  return asSocket(new URL(address, page));
}

function asSocket(url: URL): string {
  if (!/^(https?|wss?):$/.test(url.protocol)) {
    throw new DatabenchError(`no WebSocket can be opened from ${url.protocol}//: pass the option "url"`);
  }
  const socket = new URL(url.href.replace(/^http/, "ws"));
  socket.search = socket.hash = "";
  return socket.href;
}
