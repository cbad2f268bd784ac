import { expect, test } from "vitest";
import { givenAddress, socketAddress } from "../src/address.ts";

test.each([
  ["http://h:5000/static/client/databench.js", "ws://h:5000/ws/pi"],
  ["https://h/static/client/databench.js?v=3#x", "wss://h/ws/pi"],
  ["https://h/proxy/5000/static/client/databench.mjs", "wss://h/proxy/5000/ws/pi"],
  ["/base/static/client/databench.js", "ws://page/base/ws/pi"],
  ["https://cdn/assets/bundle.js", "wss://cdn/ws/pi"],
])("the client at %s speaks to %s", (script, socket) => {
  expect(socketAddress("pi", script, "http://page/x/y.html")).toBe(socket);
});

test("without an address of the client the page's own host is asked", () => {
  expect(socketAddress("pi", null, "https://h/pi/?a=1")).toBe("wss://h/ws/pi");
});

test("a name with unusual characters stays one part of the path", () => {
  expect(socketAddress("a/b é", null, "http://h/")).toBe("ws://h/ws/a%2Fb%20%C3%A9");
});

test("an address that is given may be relative, and may say http", () => {
  expect(givenAddress("../ws/pi", "https://h/a/b/")).toBe("wss://h/a/ws/pi");
  expect(givenAddress("http://other:1/ws/pi", "https://h/")).toBe("ws://other:1/ws/pi");
});

test("a page from a file needs an address", () => {
  expect(() => socketAddress("pi", null, "file:///tmp/x.html")).toThrow(/pass the option "url"/);
});
