// Reads the few msgpack types that envelopes are made of, strictly: a float is not an integer, a number is
// never rounded, text is valid UTF-8. Payload bytes are handed out as views and never looked into.

import { ProtocolError } from "./errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const SHORT_TEXT = 32;

export class FrameReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get more(): boolean {
    return this.#position < this.#bytes.byteLength;
  }

  arrayHeader(): number {
    const head = this.#head();
    if (head >= 0x90 && head <= 0x9f) return head - 0x90;
    if (head === 0xdc) return this.#unsigned(2);
    if (head === 0xdd) return this.#unsigned(4);
    throw new ProtocolError("a message is an array");
  }

  text(): string {
    const head = this.#head();
    if (head >= 0xa0 && head <= 0xbf) return this.#text(head - 0xa0);
    if (head === 0xd9) return this.#text(this.#unsigned(1));
    if (head === 0xda) return this.#text(this.#unsigned(2));
    if (head === 0xdb) return this.#text(this.#unsigned(4));
    throw new ProtocolError("text expected");
  }

  flag(): boolean {
    const head = this.#head();
    if (head === 0xc2) return false;
    if (head === 0xc3) return true;
    throw new ProtocolError("true or false expected");
  }

  /** Reads an integer that is not negative and that a number holds exactly. */
  count(): number {
    const head = this.#head();
    if (head <= 0x7f) return head;
    if (head >= 0xcc && head <= 0xce) return this.#unsigned(1 << (head - 0xcc));
    if (head === 0xcf) return this.#unsigned(8);
    throw new ProtocolError("a number that counts expected");
  }

  bytes(): Uint8Array {
    const head = this.#head();
    if (head >= 0xc4 && head <= 0xc6) return this.#take(this.#unsigned(1 << (head - 0xc4)));
    throw new ProtocolError("bytes expected");
  }

  #head(): number {
    return this.#unsigned(1);
  }

  #unsigned(size: number): number {
    const at = this.#position;
    this.#advance(size);
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at);
    if (size === 4) return this.#view.getUint32(at);
    const value = Number(this.#view.getBigUint64(at));
    if (!Number.isSafeInteger(value)) throw new ProtocolError("a number larger than any count");
    return value;
  }

  #take(size: number): Uint8Array {
    const from = this.#position;
    this.#advance(size);
    return this.#bytes.subarray(from, this.#position);
  }

  #advance(size: number): void {
    if (size > this.#bytes.byteLength - this.#position) throw new ProtocolError("the frame is cut short");
    this.#position += size;
  }

  #text(size: number): string {
    const bytes = this.#take(size);
    if (size > SHORT_TEXT) return decodeUtf8(bytes);
    let text = "";
    for (const byte of bytes) {
      if (byte > 0x7f) return decodeUtf8(bytes);
      text += String.fromCharCode(byte);
    }
    return text;
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ProtocolError("text that is not UTF-8");
  }
}
