import { decode, encode } from "@msgpack/msgpack";
import { beforeEach, describe, expect, test } from "vitest";
import { Attachment, type Instruction } from "../src/attachment.ts";
import { LIMITS } from "../src/protocol.ts";
import { broadcast, broadcasts, frame, type Message, read, signal, signals, state } from "./support/wire.ts";

const NULL = encode(null);
let attachment: Attachment;
let now: number;

beforeEach(() => {
  attachment = new Attachment("page");
  now = 0;
});

const receive = (...messages: Message[]) => attachment.receive(frame(...messages), now);
const sent = (instructions: Instruction[]) =>
  instructions.flatMap((instruction) => (instruction.do === "send" ? read(instruction.frame) : []));
const done = (instructions: Instruction[]) => instructions.map((instruction) => instruction.do);
const names = (instructions: Instruction[]) =>
  instructions.flatMap((instruction) => (instruction.do === "deliver" ? [instruction.name] : []));
const payloads = (instructions: Instruction[]) =>
  instructions.flatMap((instruction) => (instruction.do === "deliver" ? [decode(instruction.payload)] : []));
const missing = expect.objectContaining({ do: "close", code: 4003 });
const refused = expect.objectContaining({ do: "close", code: 4000 });

function attach(token = "t", resumed = false, received = 0, heard = 0): Instruction[] {
  attachment.opened();
  return receive(["attached", token, resumed, received, heard]);
}

function emit(...signals: string[]): Message[] {
  for (const name of signals) attachment.emit(name, NULL);
  return sent(attachment.flush());
}

function announced(instructions: Instruction[]): unknown {
  return instructions.find((instruction) => instruction.do === "announce")?.session;
}

describe("attaching", () => {
  test("a page without a token asks for a new session", () => {
    expect(sent(attachment.opened())).toEqual([["attach", null, "page", 0, 0]]);
  });

  test("a page with a kept token asks for its session, of which it has seen nothing", () => {
    attachment = new Attachment("other", "kept");
    expect(sent(attachment.opened())).toEqual([["attach", "kept", "other", 0, 0]]);
  });

  test("after a drop it names the last signal and the last broadcast it handled", () => {
    attach("t", false, 0, 6);
    receive(signal(1, "a"), broadcast(7, "news"), signal(2, "b"));
    attachment.disconnected();
    expect(sent(attachment.opened())).toEqual([["attach", "t", "page", 2, 7]]);
  });

  test("the first session is no news, one after another is", () => {
    const nothing = { dropped: 0, reason: null };
    expect(announced(attach("t"))).toEqual({ resumed: false, renewed: false, ...nothing });
    attachment.disconnected();
    expect(announced(attach("t", true))).toEqual({ resumed: true, renewed: false, ...nothing });
    attachment.disconnected();
    expect(announced(attach("u"))).toEqual({ resumed: false, renewed: true, ...nothing });
  });

  test("a token that is not known (any more) makes news, too", () => {
    attachment = new Attachment("page", "kept");
    expect(announced(attach("u"))).toMatchObject({ resumed: false, renewed: true });
  });

  test("the token is handed out to be remembered, and known while the session lives", () => {
    expect(attachment.session).toBeNull();
    expect(attach("t")).toContainEqual({ do: "remember", token: "t" });
    attachment.disconnected();
    expect(attachment.session).toBe("t");
    attachment.opened();
    receive(["ended", "changed"]);
    expect(attachment.session).toBeNull();
  });

  test("what comes before the answer is not heard: it is not meant for this page", () => {
    attachment.opened();
    expect(receive(broadcast(5, "early"), signal(1, "a"), state(1, true, {}), ["gap", 3, 3])).toEqual([]);
    expect(names(receive(["attached", "t", false, 0, 5], broadcast(6, "news"), signal(1, "b")))).toEqual([
      "news",
      "b",
    ]);
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
    expect(instructions.at(-1)).toEqual(missing);
  });

  test("of one name come as a run, of which only what is new is delivered", () => {
    expect(payloads(receive(signals(1, "a", [1, 2, 3])))).toEqual([1, 2, 3]);
    expect(payloads(receive(signals(2, "a", [2, 3, 4, 5])))).toEqual([4, 5]);
    expect(payloads(receive(signals(1, "a", [1, 2])))).toEqual([]);
    expect(receive(signals(7, "a", [7, 8]))).toEqual([missing]);
  });

  test("may leave a gap that the session declares", () => {
    const instructions = receive(["gap", 41, 41], signal(42, "a"), ["gap", 40, 1]);
    expect(instructions).toContainEqual({ do: "report gap", gap: { kind: "signals", count: 41 } });
    expect(done(instructions)).toEqual(["report gap", "deliver"]);
  });

  test("begin at one again in a new session", () => {
    receive(signal(1, "a"), signal(2, "b"));
    attachment.disconnected();
    attach("u");
    expect(names(receive(signal(1, "c")))).toEqual(["c"]);
  });
});

describe("broadcasts", () => {
  beforeEach(() => void attach("t", false, 0, 6));

  test("are delivered from where the attach says on, in no order with signals", () => {
    expect(names(receive(broadcast(7, "a"), signal(1, "b"), broadcast(8, "c")))).toEqual(["a", "b", "c"]);
  });

  test("are dropped when they were heard before", () => {
    receive(broadcast(7, "a"));
    expect(receive(broadcast(7, "a"), broadcast(6, "b"))).toEqual([]);
    expect(payloads(receive(broadcasts(6, "a", [6, 7, 8, 9])))).toEqual([8, 9]);
  });

  test("close the connection when one is missing, and the next attach tells the last one", () => {
    expect(receive(broadcast(8, "b"))).toEqual([missing]);
    expect(sent(attachment.opened())).toEqual([["attach", "t", "page", 0, 6]]);
  });

  test("may be missed, as the session declares", () => {
    const instructions = receive(["missed", 9, 3], ["missed", 9, 3], broadcast(10, "a"));
    expect(instructions[0]).toEqual({ do: "report gap", gap: { kind: "broadcasts", count: 3 } });
    expect(done(instructions)).toEqual(["report gap", "deliver"]);
  });

  test("are counted anew in a new session", () => {
    receive(broadcast(7, "a"));
    attachment.disconnected();
    attach("u", false, 0, 2);
    expect(names(receive(broadcast(3, "b")))).toEqual(["b"]);
  });
});

describe("state", () => {
  beforeEach(() => void attach());

  test("is handed out and acknowledged at once, after the whole frame was handled", () => {
    const instructions = receive(state(1, true, { "state:a": 1 }), signal(1, "a"), signal(2, "b"));
    expect(instructions[0]).toEqual({
      do: "change state",
      whole: true,
      changes: encode([{ "state:a": 1 }, []]),
    });
    expect(done(instructions)).toEqual(["change state", "deliver", "deliver", "send"]);
    expect(sent(instructions)).toEqual([["ack", 2, 1]]);
    expect(attachment.due).toBeNull();
  });

  test("is acknowledged once where signals are due in the same frame", () => {
    const signals = Array.from({ length: LIMITS.ackSignals }, (_, index) => signal(index + 1, "a"));
    expect(sent(receive(state(1, true, {}), ...signals))).toEqual([["ack", 1024, 1]]);
  });

  test("that comes again is not handed out again, but acknowledged", () => {
    receive(state(1, true, {}));
    const instructions = receive(state(1, true, {}));
    expect(done(instructions)).toEqual(["send"]);
    expect(sent(instructions)).toEqual([["ack", 0, 1]]);
  });

  test("that leaves a hole closes the connection, and nothing is acknowledged", () => {
    expect(receive(state(2, false, {}))).toEqual([missing]);
  });

  test("is numbered anew on each connection", () => {
    receive(state(1, true, {}), state(2, false, {}));
    attachment.disconnected();
    attach("t", true);
    expect(sent(receive(signal(1, "a"), state(1, true, {})))).toEqual([["ack", 1, 1]]);
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
    expect(sent(attachment.tick(1_050))).toEqual([["ack", 2, 0]]);
    expect(attachment.due).toBeNull();
  });

  test("does not wait after 1,024 signals", () => {
    const signals = Array.from({ length: 2500 }, (_, index) => signal(index + 1, "a"));
    expect(sent(receive(...signals))).toEqual([
      ["ack", 1024, 0],
      ["ack", 2048, 0],
    ]);
  });

  test("comes after a run that brings it to 1,024 signals or 1 MiB", () => {
    const many = Array.from({ length: 1100 }, () => null);
    expect(sent(receive(signals(1, "a", many)))).toEqual([["ack", 1100, 0]]);
    const half = new Uint8Array(LIMITS.ackBytes / 2);
    expect(sent(receive(signals(1101, "a", [half, half])))).toEqual([["ack", 1102, 0]]);
  });

  test("comes after the signals it acknowledges were delivered", () => {
    const signals = Array.from({ length: LIMITS.ackSignals }, (_, index) => signal(index + 1, "a"));
    expect(done(receive(...signals)).indexOf("send")).toBe(1024);
  });

  test("does not wait after 1 MiB", () => {
    expect(sent(receive(signal(1, "a", new Uint8Array(LIMITS.ackBytes))))).toEqual([["ack", 1, 0]]);
  });

  test("is repeated for a signal that was seen before", () => {
    receive(signal(1, "a"));
    attachment.tick(100);
    receive(signal(1, "a"));
    expect(sent(attachment.tick(200))).toEqual([["ack", 1, 0]]);
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

  test("begin at one in a session that an earlier load of the page had", () => {
    attachment = new Attachment("page", "kept");
    emit("a");
    expect(sent(attach("kept", true, 0)).map(([, seq]) => seq)).toEqual([1]);
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

  test("are forgotten when they are accepted", () => {
    attach();
    emit("a", "b", "a");
    receive(["accepted", 1]);
    expect([attachment.unaccepted(), attachment.unaccepted("a")]).toEqual([2, 1]);
    receive(["accepted", 1]);
    receive(["accepted", 3]);
    receive(["accepted", 2]);
    expect([attachment.unaccepted(), attachment.unaccepted("a")]).toEqual([0, 0]);
  });

  test("are bounded: the 1,025th that is not accepted throws, and the connection goes on", () => {
    attach();
    for (let count = 0; count < LIMITS.outboxSignals; count += 1) attachment.emit("a", NULL);
    expect(() => attachment.emit("b", NULL)).toThrow(/1024 signals .* wait.*"b" was not emitted/);
    attachment.flush();
    receive(["accepted", 1]);
    expect(emit("b").map(([, seq]) => seq)).toEqual([1_025]);
  });

  test("are bounded in bytes", () => {
    const large = new Uint8Array(LIMITS.outboxBytes / 4);
    attach();
    for (let count = 0; count < 4; count += 1) attachment.emit("a", large);
    expect(() => attachment.emit("b", NULL)).toThrow(/4 signals \(65536 kB\) wait.*"b" was not emitted/);
    attachment.flush();
    receive(["accepted", 1]);
    attachment.emit("a", large);
    attachment.disconnected();
    attach("u");
    for (let count = 0; count < 4; count += 1) attachment.emit("a", large);
  });

  test("of a session that is over are dropped and counted, and those of the next begin at one", () => {
    attach();
    emit("a", "b");
    attachment.disconnected();
    expect(announced(attach("u"))).toMatchObject({ renewed: true, dropped: 2 });
    expect(emit("c").map(([, seq, name]) => [seq, name])).toEqual([[1, "c"]]);
  });
});

describe("the end of a session", () => {
  test("is followed by an attach without a token, and without numbers", () => {
    attach();
    const instructions = receive(signal(1, "a"), broadcast(1, "n"), ["ended", "changed"], signal(2, "b"));
    expect(done(instructions)).toEqual(["deliver", "deliver", "remember", "attach anew"]);
    expect(sent(attachment.opened())).toEqual([["attach", null, "page", 0, 0]]);
  });

  test("may come before the attach is answered", () => {
    attachment.opened();
    expect(done(receive(["ended", "changed"]))).toEqual(["remember", "attach anew"]);
  });

  test("is news of the next session: why it came, and what it had not accepted", () => {
    attach();
    emit("a");
    receive(["ended", "changed"]);
    attachment.emit("b", NULL);
    const instructions = attach("u");
    expect(sent(instructions).map(([, seq, name]) => [seq, name])).toEqual([[1, "b"]]);
    expect(announced(instructions)).toEqual({ resumed: false, renewed: true, dropped: 1, reason: "changed" });
    attachment.disconnected();
    expect(announced(attach("v"))).toMatchObject({ dropped: 1, reason: null });
  });

  test.each([
    ["more than this page has", 5],
    ["less than it had accepted: it has forgotten this page", 0],
  ])("is assumed when the session has received %s", (_, received) => {
    attach();
    emit("a", "b");
    receive(["accepted", 1]);
    attachment.disconnected();
    expect(done(attach("t", true, received))).toEqual(["remember", "attach anew"]);
    expect(announced(attach("u"))).toMatchObject({ renewed: true, dropped: 1 });
  });
});

describe("a message out of turn closes the connection with 4000", () => {
  beforeEach(() => void attach());

  test("a second answer to the attach", () => {
    expect(receive(["attached", "t", true, 0, 0])).toEqual([refused]);
  });

  test("the acceptance of what was never sent", () => {
    expect(receive(["accepted", 1])).toEqual([refused]);
  });

  test("a frame that does not decode is refused as a whole", () => {
    const half = frame(signal(1, "a"), signal(2, "b")).slice(0, -1);
    expect(attachment.receive(half, now)).toEqual([refused]);
  });
});

test("a reload is passed on", () => {
  attach();
  expect(receive(["reload", "pi.py changed"])).toEqual([{ do: "reload page", reason: "pi.py changed" }]);
});
