// @vitest-environment jsdom
import { beforeEach, describe, expect, test, vi } from "vitest";
import { StatusLine } from "../../src/elements/status.ts";
import { FakeClock } from "../support/browser.ts";

let clock: FakeClock;
let retry: () => void;
let line: StatusLine;

beforeEach(() => {
  document.body.innerHTML = "";
  clock = new FakeClock();
  retry = vi.fn();
  line = new StatusLine("pi", clock, retry);
});

const shown = () => document.querySelector(".databench-status")?.textContent ?? "";
const waiting = (milliseconds: number) =>
  line.show({ state: "waiting", text: "Connection lost.", until: clock.now() + milliseconds });

describe("the status line", () => {
  test("says that it connects only when that takes a while", () => {
    line.show({ state: "connecting" });
    expect(shown()).toBe("");
    clock.advance(400);
    expect(shown()).toBe("Connecting…");
    line.show({ state: "open" });
    expect(shown()).toBe("");
  });

  test("counts down to the next attempt and offers to try now", () => {
    waiting(3_000);
    expect(shown()).toBe("Connection lost. Trying again in 3 s. now");
    clock.advance(1_000);
    expect(shown()).toBe("Connection lost. Trying again in 2 s. now");
    document.querySelector("button")?.click();
    expect(retry).toHaveBeenCalledOnce();
  });

  test("does not flicker for a drop that is over in a moment", () => {
    waiting(100);
    line.show({ state: "connecting" });
    clock.advance(100);
    line.show({ state: "open" });
    expect(shown()).toBe("");
    expect(clock.pending).toBe(0);
  });

  test("tells of a new session for some seconds", () => {
    line.show({ state: "open" });
    line.attached({ resumed: false, renewed: true, dropped: 0 });
    expect(shown()).toBe("The analysis was restarted: this is a new session.");
    clock.advance(8_000);
    expect(shown()).toBe("");
  });

  test("says nothing of a first session or of one that was resumed", () => {
    line.attached({ resumed: false, renewed: false, dropped: 0 });
    line.attached({ resumed: true, renewed: false, dropped: 0 });
    expect(shown()).toBe("");
  });

  test("names the analysis that is not there", () => {
    line.show({ state: "closed", text: "No such analysis here.", code: 4004 });
    expect(shown()).toBe('No analysis "pi" here.');
  });

  test("is read out politely, without the seconds", () => {
    waiting(3_000);
    const place = document.querySelector(".databench-status");
    expect([place?.getAttribute("role"), place?.getAttribute("aria-live")]).toEqual(["status", "polite"]);
    expect(place?.querySelector("[aria-hidden=true]")?.textContent).toBe(" in 3 s");
  });

  test("uses the page's own place where there is one", () => {
    document.body.innerHTML = "<p data-databench-status></p>";
    waiting(3_000);
    expect(document.querySelector("[data-databench-status]")?.textContent).toContain("Connection lost.");
    expect(document.querySelector(".databench-status")).toBeNull();
  });

  test("shares its place with the lines of other connections", () => {
    waiting(3_000);
    const other = new StatusLine("other", clock, retry);
    other.show({ state: "closed", text: "", code: 4004 });
    expect(document.querySelectorAll(".databench-status")).toHaveLength(1);
    line.remove();
    expect(shown()).toBe('No analysis "other" here.');
  });
});
