import { describe, expect, test } from "vitest";
import { decode, encode, type FromBrowser, join, LIMITS, problemWithName } from "../src/protocol.ts";
import { fromHex, type InvalidVector, load, type MessageVector, toHex } from "./support/vectors.ts";
import { frame, signal } from "./support/wire.ts";

const MESSAGES = load<MessageVector>("messages");

function message(noted: Record<string, unknown>): FromBrowser {
  const fields = Object.entries(noted).map(([field, value]) => {
    if (field === "payloads") return [field, (value as string[]).map(fromHex)];
    return [field, ["payload", "changes"].includes(field) ? fromHex(String(value)) : value];
  });
  return Object.fromEntries(fields);
}

describe("the golden vectors", () => {
  test.each(MESSAGES.filter(({ to }) => to === "browser"))("$name is decoded", ({ hex, messages }) => {
    expect(decode(fromHex(hex))).toEqual(messages.map(message));
  });

  test.each(MESSAGES.filter(({ to }) => to === "gateway"))("$name is encoded", ({ hex, messages }) => {
    const parts = messages.map((noted) => encode(message(noted)));
    expect(join(parts).map(toHex)).toEqual([hex]);
  });

  const invalid = load<InvalidVector>("invalid").filter(({ to }) => to === "browser");
  test.each(invalid)("$name is refused", ({ hex }) => {
    expect(() => decode(fromHex(hex))).toThrow(expect.objectContaining({ name: "ProtocolError" }));
  });
});

describe("what a frame may hold", () => {
  test.each([
    ["an empty frame", ""],
    ["a float where an integer belongs", "92a86163636570746564cb3ff0000000000000"],
    ["a boolean where a number belongs", "92a86163636570746564c3"],
    ["a number where a boolean belongs", "94a573746174650101c403928090"],
    ["a negative number", "92a86163636570746564ff"],
    ["an integer beyond 2^53", "92a86163636570746564cfffffffffffffffff"],
    ["a field too many", "93a861636365707465640102"],
    ["a field too many that is itself a message", "93a861636365707465640192a8616363657074656402"],
    ["an acknowledgement, which is the page's to send", "93a361636b0102"],
    ["a run that claims more signals than it holds", "94a77369676e616c7301a161ddffffffffc401c0"],
    ["a payload that is text", "94a77369676e616c7301a16191a161"],
    ["a signal without a name", "94a77369676e616c7301a091c401c0"],
    ["a name that is not UTF-8", "94a77369676e616c7301a1ff91c401c0"],
    ["a good message and half of another", "92a861636365707465640192a86163"],
    ["a tag from the prototype of objects", "91ab636f6e7374727563746f72"],
    ["a map", "81a8616363657074656401"],
  ])("%s is refused", (_, hex) => {
    expect(() => decode(fromHex(hex))).toThrow(expect.objectContaining({ name: "ProtocolError" }));
  });

  test("lengths may be written longer than needed", () => {
    expect(decode(fromHex("dc0002d9086163636570746564cf0000000000000007"))).toEqual([
      { tag: "accepted", seq: 7 },
    ]);
  });

  test("a payload is a view of the frame and is not copied", () => {
    const bytes = frame(signal(1, "a", "text"));
    const [decoded] = decode(bytes);
    expect(decoded?.tag === "signals" && decoded.payloads[0]?.buffer).toBe(bytes.buffer);
  });

  test("a frame that lies inside a larger buffer is read in its place", () => {
    const bytes = new Uint8Array([0xc1, ...frame(["accepted", 500]), 0xc1]);
    expect(decode(bytes.subarray(1, -1))).toEqual([{ tag: "accepted", seq: 500 }]);
  });
});

describe("joining", () => {
  test("messages are joined up to the bound, in order", () => {
    const message = new Uint8Array(LIMITS.joinedBytes / 4 + 1);
    expect(join([message, message, message, message]).map(({ length }) => length)).toEqual([
      3 * message.length,
      message.length,
    ]);
  });

  test("a message larger than the bound goes alone", () => {
    const [small, large] = [new Uint8Array(1), new Uint8Array(LIMITS.joinedBytes + 1)];
    expect(join([small, large, small])).toEqual([small, large, small]);
  });

  test("nothing joins to nothing", () => {
    expect(join([])).toEqual([]);
  });
});

test("a name is counted in characters, not in UTF-16 units", () => {
  expect(problemWithName("😀".repeat(200))).toBeNull();
  expect(problemWithName("😀".repeat(201))).toContain("200 characters");
  expect(problemWithName("")).toContain("needs a name");
});
