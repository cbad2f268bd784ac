import { encode } from "@msgpack/msgpack";
import { beforeEach, describe, expect, test } from "vitest";
import { Attachment, type Instruction } from "../src/attachment.ts";
import { LIMITS } from "../src/protocol.ts";
import { frame, type Message, read, signal } from "./support/wire.ts";

const NULL = encode(null);
let attachment: Attachment;
let now: number;

beforeEach(() => {
  attachment = new Attachment();
  now = 0;
});

const receive = (...messages: Message[]) => attachment.receive(frame(...messages), now);
const sent = (instructions: Instruction[]) =>
  instructions.flatMap((instruction) => (instruction.do === "send" ? read(instruction.frame) : []));
const done = (instructions: Instruction[]) => instructions.map((instruction) => instruction.do);
const names = (instructions: Instruction[]) =>
  instructions.flatMap((instruction) => (instruction.do === "deliver" ? [instruction.name] : []));

function attach(token = "t", resumed = false, received = 0): Instruction[] {
  attachment.opened();
  return receive(["attached", token, resumed, received]);
}

function emit(...signals: string[]): Message[] {
  for (const name of signals) attachment.emit(name, NULL);
  return sent(attachment.flush());
}

describe("attaching", () => {
  test("a page without a token asks for a new session", () => {
    expect(sent(attachment.opened())).toEqual([["attach", null, 0]]);
  });

  test("a page with a kept token asks for its session", () => {
    attachment = new Attachment("kept");
    expect(sent(attachment.opened())).toEqual([["attach", "kept", 0]]);
  });

  test("after a drop it names the last signal it handled", () => {
    attach("t");
    receive(signal(1, "a"), signal(2, "b"));
    attachment.disconnected();
    expect(sent(attachment.opened())).toEqual([["attach", "t", 2]]);
  });

  test("the first session is no news, one after another is", () => {
    expect(attach("t")).toContainEqual({
      do: "announce",
      session: { resumed: false, renewed: false, dropped: 0 },
    });
    attachment.disconnected();
    expect(attach("u")).toContainEqual({
      do: "announce",
      session: { resumed: false, renewed: true, dropped: 0 },
    });
  });

  test("the token is handed out to be remembered", () => {
    expect(attach("t")).toContainEqual({ do: "remember", token: "t" });
  });
});

describe("signals to the page", () => {
  beforeEach(() => void attach());

  test("are delivered in order", () => {
    expect(names(receive(signal(1, "a"), signal(2, "b")))).toEqual(["a", "b"]);
  });

  test("are dropped when they were seen before", () => {
    receive(signal(1, "a"));
    expect(names(receive(signal(1, "a"), signal(2, "b")))).toEqual(["b"]);
  });

  test("close the connection when one is missing, after those before it were delivered", () => {
    const instructions = receive(signal(1, "a"), signal(3, "c"), signal(4, "d"));
    expect(names(instructions)).toEqual(["a"]);
    expect(instructions.at(-1)).toMatchObject({ do: "close", code: 4003 });
  });

  test("may leave a gap that the session declares", () => {
    const instructions = receive(["gap", 41, 41], signal(42, "a"));
    expect(instructions).toContainEqual({ do: "report gap", count: 41 });
    expect(names(instructions)).toEqual(["a"]);
  });

  test("begin at one again in a new session", () => {
    receive(signal(1, "a"), signal(2, "b"));
    attachment.disconnected();
    attach("u");
    expect(names(receive(signal(1, "c")))).toEqual(["c"]);
  });
});

describe("acknowledging", () => {
  beforeEach(() => void attach());

  test("waits 50 ms for more, and no longer", () => {
    now = 1_000;
    receive(signal(1, "a"));
    now = 1_030;
    receive(signal(2, "b"));
    expect(attachment.due).toBe(1_050);
    expect(attachment.tick(1_049)).toEqual([]);
    expect(sent(attachment.tick(1_050))).toEqual([["ack", 2]]);
    expect(attachment.due).toBeNull();
  });

  test("does not wait after 256 signals", () => {
    const signals = Array.from({ length: 600 }, (_, index) => signal(index + 1, "a"));
    expect(sent(receive(...signals))).toEqual([
      ["ack", 256],
      ["ack", 512],
    ]);
  });

  test("comes after the signals it acknowledges were delivered", () => {
    const signals = Array.from({ length: 256 }, (_, index) => signal(index + 1, "a"));
    expect(done(receive(...signals)).indexOf("send")).toBe(256);
  });

  test("does not wait after 1 MiB", () => {
    expect(sent(receive(signal(1, "a", new Uint8Array(LIMITS.ackBytes))))).toEqual([["ack", 1]]);
  });

  test("is repeated for a signal that was seen before", () => {
    receive(signal(1, "a"));
    attachment.tick(100);
    receive(signal(1, "a"));
    expect(sent(attachment.tick(200))).toEqual([["ack", 1]]);
  });

  test("is not owed any more after a drop", () => {
    receive(signal(1, "a"));
    attachment.disconnected();
    expect(attachment.due).toBeNull();
  });
});

describe("signals from the page", () => {
  test("wait for the first attach and then go out, joined", () => {
    expect(emit("a", "b")).toEqual([]);
    const frames = attach().filter((instruction) => instruction.do === "send");
    expect(frames).toHaveLength(1);
    expect(sent(frames).map(([, seq, name]) => [seq, name])).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
  });

  test("are numbered on from what a kept session has received", () => {
    attachment = new Attachment("kept");
    emit("a");
    expect(sent(attach("kept", true, 7)).map(([, seq]) => seq)).toEqual([8]);
  });

  test("are sent once while the connection lives", () => {
    attach();
    expect(emit("a").map(([, seq]) => seq)).toEqual([1]);
    expect(emit("b").map(([, seq]) => seq)).toEqual([2]);
    expect(attachment.flush()).toEqual([]);
  });

  test("are sent again after a drop, from where the session got to", () => {
    attach();
    emit("a", "b", "c");
    attachment.disconnected();
    attachment.emit("d", NULL);
    expect(sent(attach("t", true, 2)).map(([, seq, name]) => [seq, name])).toEqual([
      [3, "c"],
      [4, "d"],
    ]);
  });

  test("are forgotten when they are acknowledged", () => {
    attach();
    emit("a", "b", "c");
    receive(["ack", 2]);
    expect(attachment.unacknowledged).toBe(1);
    receive(["ack", 1]);
    expect(attachment.unacknowledged).toBe(1);
  });

  test("are bounded: the 1,025th that is not acknowledged throws, and the connection goes on", () => {
    attach();
    for (let count = 0; count < LIMITS.outboxSignals; count += 1) attachment.emit("a", NULL);
    expect(() => attachment.emit("b", NULL)).toThrow(/1024 signals wait.*"b" was not emitted/);
    attachment.flush();
    receive(["ack", 1]);
    expect(emit("b").map(([, seq]) => seq)).toEqual([1_025]);
  });

  test("of a session that is over are dropped and counted", () => {
    attach();
    emit("a", "b");
    attachment.disconnected();
    expect(attach("u")).toContainEqual({
      do: "announce",
      session: { resumed: false, renewed: true, dropped: 2 },
    });
    expect(emit("c").map(([, seq, name]) => [seq, name])).toEqual([[1, "c"]]);
  });
});

describe("the end of a session", () => {
  test("is followed by an attach without a token", () => {
    attach();
    const instructions = receive(signal(1, "a"), ["ended", "changed"], signal(2, "b"));
    expect(done(instructions)).toEqual(["deliver", "remember", "attach anew"]);
    expect(sent(attachment.opened())).toEqual([["attach", null, 0]]);
  });

  test("drops what it did not accept, and keeps what is emitted after it for the next one", () => {
    attach();
    emit("a");
    receive(["ended", "changed"]);
    attachment.emit("b", NULL);
    const instructions = attach("u");
    expect(sent(instructions).map(([, seq, name]) => [seq, name])).toEqual([[1, "b"]]);
    expect(instructions).toContainEqual({
      do: "announce",
      session: { resumed: false, renewed: true, dropped: 0 },
    });
  });

  test("is assumed when the session has received what was never sent", () => {
    attach();
    emit("a");
    attachment.disconnected();
    expect(done(attach("t", true, 5))).toEqual(["remember", "attach anew"]);
  });
});

describe("a message out of turn closes the connection with 4000", () => {
  const closing = expect.objectContaining({ do: "close", code: 4000 });

  test("a signal before the attach was answered", () => {
    attachment.opened();
    expect(receive(signal(1, "a"))).toEqual([closing]);
  });

  test("a second answer to the attach", () => {
    attach();
    expect(receive(["attached", "t", true, 0])).toEqual([closing]);
  });

  test("an acknowledgement of what was never sent", () => {
    attach();
    expect(receive(["ack", 1])).toEqual([closing]);
  });

  test("a frame that does not decode is refused as a whole", () => {
    attach();
    const half = frame(signal(1, "a"), signal(2, "b")).slice(0, -1);
    expect(attachment.receive(half, now)).toEqual([closing]);
  });
});

test("a reload is passed on", () => {
  attach();
  expect(receive(["reload", "pi.py changed"])).toEqual([{ do: "reload page", reason: "pi.py changed" }]);
});
