// @vitest-environment jsdom
import { expect, test, vi } from "vitest";
import type { Databench } from "../src/databench.ts";

class QuietSocket {
  static readonly urls: string[] = [];
  constructor(url: string) {
    QuietSocket.urls.push(url);
  }
  close(): void {}
}

type Create = (name: string) => Databench;

test("the classic script offers Databench(name), with or without new, and asks its own server", async () => {
  vi.stubGlobal("WebSocket", QuietSocket);
  const script = document.createElement("script");
  script.setAttribute("src", "http://server:5000/base/static/client/databench.js");
  Object.defineProperty(document, "currentScript", { value: script, configurable: true });
  await import("../src/global.ts");
  const { Databench } = globalThis as unknown as { Databench: Create & (new (name: string) => Databench) };
  Databench("pi").close();
  new Databench("pi").close();
  expect(QuietSocket.urls).toEqual(["ws://server:5000/base/ws/pi", "ws://server:5000/base/ws/pi"]);
});

test("the module offers connect(name)", async () => {
  vi.stubGlobal("WebSocket", QuietSocket);
  const { connect, Databench: Class } = await import("../src/index.ts");
  const databench = connect("pi", { url: "ws://given/ws/pi" });
  databench.close();
  expect(databench).toBeInstanceOf(Class);
  expect(QuietSocket.urls.at(-1)).toBe("ws://given/ws/pi");
});
