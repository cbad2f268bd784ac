// @vitest-environment jsdom
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionNews } from "../../src/attachment.ts";
import { StatusLine } from "../../src/elements/status.ts";
import { FakeClock } from "../support/browser.ts";
import { nextFrame } from "../support/page.ts";

let clock: FakeClock;
let retry: () => void;
let line: StatusLine;

beforeEach(() => {
  document.body.innerHTML = "";
  clock = new FakeClock();
  retry = vi.fn();
  line = new StatusLine("pi", clock, retry);
});

async function shown(): Promise<string> {
  await nextFrame();
  return document.querySelector(".databench-status")?.textContent ?? "";
}
const waiting = (milliseconds: number) =>
  line.show({ state: "waiting", text: "Connection lost.", until: clock.now() + milliseconds });
const news = (about: Partial<SessionNews>): SessionNews => ({
  resumed: false,
  renewed: true,
  dropped: 0,
  reason: null,
  ...about,
});

describe("the status line", () => {
  test("says that it connects only when that takes a while", async () => {
    line.show({ state: "connecting" });
    expect(await shown()).toBe("");
    clock.advance(400);
    expect(await shown()).toBe("Connecting…");
    line.show({ state: "open" });
    expect(await shown()).toBe("");
  });

  test("counts down to the next attempt and offers to try now", async () => {
    waiting(3_000);
    expect(await shown()).toBe("Connection lost. Trying again in 3 s. now");
    clock.advance(1_000);
    expect(await shown()).toBe("Connection lost. Trying again in 2 s. now");
    document.querySelector("button")?.click();
    expect(retry).toHaveBeenCalledOnce();
  });

  test("does not flicker for a drop that is over in a moment", async () => {
    waiting(100);
    line.show({ state: "connecting" });
    clock.advance(100);
    line.show({ state: "open" });
    expect(await shown()).toBe("");
    expect(clock.pending).toBe(0);
  });

  test("draws what a frame brought once", async () => {
    const seen = vi.fn();
    const observer = new MutationObserver(seen);
    observer.observe(document.body, { childList: true, subtree: true });
    waiting(3_000);
    line.show({ state: "open" });
    line.attached(news({}));
    expect(document.body.textContent).toBe("");
    expect(await shown()).toContain("a new session");
    expect(seen).toHaveBeenCalledOnce();
    observer.disconnect();
  });

  test("tells of a new session for some seconds", async () => {
    line.show({ state: "open" });
    line.attached(news({}));
    expect(await shown()).toBe("The analysis was restarted: this is a new session.");
    clock.advance(8_000);
    expect(await shown()).toBe("");
  });

  test("says why the last session is over, where that is known", async () => {
    line.attached(news({ reason: "the analysis was changed" }));
    expect(await shown()).toBe("The session is over: the analysis was changed. This is a new one.");
    line.attached(news({ reason: "Nobody came." }));
    expect(await shown()).toBe("The session is over: Nobody came. This is a new one.");
  });

  test("says nothing of a first session or of one that was resumed", async () => {
    line.attached(news({ renewed: false }));
    line.attached(news({ resumed: true, renewed: false }));
    expect(await shown()).toBe("");
  });

  test("names the analysis that is not there", async () => {
    line.show({ state: "closed", text: "No such analysis here.", code: 4004 });
    expect(await shown()).toBe('No analysis "pi" here.');
  });

  test("is read out politely, without the seconds", async () => {
    waiting(3_000);
    await nextFrame();
    const place = document.querySelector(".databench-status");
    expect([place?.getAttribute("role"), place?.getAttribute("aria-live")]).toEqual(["status", "polite"]);
    expect(place?.querySelector("[aria-hidden=true]")?.textContent).toBe(" in 3 s");
  });

  test("uses the page's own place where there is one", async () => {
    document.body.innerHTML = "<p data-databench-status></p>";
    waiting(3_000);
    await nextFrame();
    expect(document.querySelector("[data-databench-status]")?.textContent).toContain("Connection lost.");
    expect(document.querySelector(".databench-status")).toBeNull();
  });

  test("shares its place with the lines of other connections, and leaves it at once", async () => {
    waiting(3_000);
    const other = new StatusLine("other", clock, retry);
    other.show({ state: "closed", text: "", code: 4004 });
    await nextFrame();
    expect(document.querySelectorAll(".databench-status")).toHaveLength(1);
    line.remove();
    expect(document.querySelector(".databench-status")?.textContent).toBe('No analysis "other" here.');
  });
});
