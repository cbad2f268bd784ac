// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { browserEnvironment } from "../src/environment.ts";
import { type TokenStore, tabTokens } from "../src/tokens.ts";

let url: string;
let opened: TokenStore[];
let pages = 0;

beforeEach(() => {
  pages += 1;
  url = `ws://h/ws/${pages}`;
  opened = [];
  sessionStorage.clear();
});
afterEach(() => {
  for (const tokens of opened) tokens.close();
});

function open(given: string | null = null): TokenStore {
  const tokens = tabTokens(url, given);
  opened.push(tokens);
  return tokens;
}

const kept = () => Object.values(sessionStorage);
const leave = () => dispatchEvent(new Event("pagehide"));
function comeBack(persisted: boolean): void {
  dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
}
/** Loads the page again: the same connections are opened in the same order. */
async function load(): Promise<typeof tabTokens> {
  for (const tokens of opened.splice(0)) tokens.close();
  vi.resetModules();
  const module = await import("../src/tokens.ts");
  return (...given) => {
    const tokens = module.tabTokens(...given);
    opened.push(tokens);
    return tokens;
  };
}

describe("the token of a session", () => {
  test("is in memory only while the page lives, so that a duplicated tab does not have it", () => {
    const tokens = open();
    tokens.write("t");
    expect([tokens.read(), kept()]).toEqual(["t", []]);
  });

  test("is found by the next load of the page, once", async () => {
    open().write("t");
    leave();
    expect(kept()).toEqual(["t"]);
    const reloaded = await load();
    expect(reloaded(url).read()).toBe("t");
    expect(kept()).toEqual([]);
  });

  test("is found by the connection that had it, of several to one analysis", async () => {
    open().write("first");
    open();
    open().write("third");
    leave();
    const reloaded = await load();
    expect([reloaded(url), reloaded(url), reloaded(url)].map((tokens) => tokens.read())).toEqual([
      "first",
      null,
      "third",
    ]);
    expect(reloaded("ws://h/ws/other").read()).toBeNull();
  });

  test("is not left in the tab by a page that comes back as it was", () => {
    const tokens = open();
    tokens.write("t");
    leave();
    comeBack(false);
    expect(kept()).toEqual(["t"]);
    comeBack(true);
    expect([tokens.read(), kept()]).toEqual(["t", []]);
  });

  test("is not kept when the session is over or the page is done with it", () => {
    const [over, done] = [open(), open()];
    over.write("t");
    over.write(null);
    done.write("u");
    done.close();
    leave();
    expect([over.read(), done.read(), kept()]).toEqual([null, null, []]);
  });

  test("that was given comes before one that was kept, which is forgotten", async () => {
    open().write("kept");
    leave();
    const reloaded = await load();
    expect(reloaded(url, "given").read()).toBe("given");
    expect(kept()).toEqual([]);
  });

  test("is in memory alone where the browser keeps nothing for this site", () => {
    const refuse = () => {
      throw new DOMException("denied", "SecurityError");
    };
    vi.spyOn(globalThis, "sessionStorage", "get").mockImplementation(refuse);
    const tokens = open();
    tokens.write("t");
    leave();
    comeBack(true);
    expect(tokens.read()).toBe("t");
  });
});

test("a page calls itself by 16 random hexadecimal characters", () => {
  const { newPage } = browserEnvironment();
  const names = [newPage(), newPage()];
  expect(names[0]).toMatch(/^[0-9a-f]{16}$/);
  expect(names[0]).not.toBe(names[1]);
});
