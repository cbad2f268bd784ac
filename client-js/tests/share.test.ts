// @vitest-environment jsdom
import { afterEach, describe, expect, test, vi } from "vitest";
import { followSharedLinks, sharedToken, shareLink, takeSharedToken } from "../src/share.ts";

afterEach(() => history.replaceState(null, "", "/"));

describe("a link to a session", () => {
  test("is the page's address with the analysis and the token", () => {
    expect(shareLink("https://h/pi/?a=1#part", "pi", "3f.Zm9v-_")).toBe(
      "https://h/pi/?a=1#databench=pi:3f.Zm9v-_",
    );
  });

  test.each(["pi", "größe π", "a:b", "100%", "a/b#c?d"])("to %s leads to the token", (name) => {
    expect(sharedToken(shareLink("https://h/x", name, "3f.Zm9v"), name)).toBe("3f.Zm9v");
  });

  test.each([
    ["another analysis", "#databench=slowpi:t"],
    ["a part of the page", "#results"],
    ["no token", "#databench=pi:"],
    ["what is no token", "#databench=pi:a%20b"],
    ["broken text", "#databench=pi:%"],
    ["nothing", ""],
  ])("is not %s", (_, hash) => {
    expect(sharedToken(`https://h/${hash}`, "pi")).toBeNull();
  });

  test("is found also where something on its way wrote it differently", () => {
    expect(sharedToken("https://h/#databench=pi%3At.u", "pi")).toBe("t.u");
  });
});

describe("a page that is loaded by a link", () => {
  test("takes the token out of the address bar, and nothing else", () => {
    history.replaceState({ mine: 1 }, "", "/pi?a=1#databench=pi:t");
    expect(takeSharedToken("pi")).toBe("t");
    expect([location.pathname + location.search, location.href.includes("#")]).toEqual(["/pi?a=1", false]);
    expect(history.state).toEqual({ mine: 1 });
    expect(takeSharedToken("pi")).toBeNull();
  });

  test("leaves what is meant for others", () => {
    history.replaceState(null, "", "/pi#databench=slowpi:t");
    expect(takeSharedToken("pi")).toBeNull();
    expect(location.hash).toBe("#databench=slowpi:t");
  });

  test("is loaded again where it was open already, and only for its own links", () => {
    const reload = vi.fn();
    const off = followSharedLinks("pi", reload);
    const go = (hash: string) => {
      history.replaceState(null, "", hash);
      dispatchEvent(new Event("hashchange"));
    };
    go("#part");
    go("#databench=slowpi:t");
    expect(reload).not.toHaveBeenCalled();
    go("#databench=pi:t");
    expect(reload).toHaveBeenCalledOnce();
    off();
    go("#databench=pi:u");
    expect(reload).toHaveBeenCalledOnce();
  });
});
