// What the session says that counts now: the newest value of each name, and who is told when one changes.
// Knows nothing of connections or elements, and decides about no value: what a page sets is only asked for.

import { ProtocolError } from "./errors.ts";
import { Handlers, type Off, report } from "./events.ts";
import { decodeValue } from "./values.ts";

/** Values are what the analysis set; each handler knows its own. */
// biome-ignore lint/suspicious/noExplicitAny: authors write `state.get('fit').slope`
export type Value = any;
export type StateHandler = (value: Value, name: string) => void;

/** The session's own state, what all sessions of the analysis share, the signals being handled, and their jobs. */
export type Scope = "state" | "shared" | "handling" | "progress";

const NAME = /^(?:state|shared|handling|progress):/;
/** `changes` wraps the values in an array and a map, which do not count as their nesting. */
const AROUND_A_VALUE = 2;

export function isStateName(name: string): boolean {
  return NAME.test(name);
}

interface Entry {
  readonly value: Value;
  /** Within `apply` a value is known before it is told. */
  told: boolean;
}

/** All names that the session has told, and their values. */
export class KnownState {
  readonly #entries = new Map<string, Entry>();
  readonly #handlers = new Handlers<[Value, string]>();
  readonly #watchers = new Handlers<[]>();

  get(name: string): Value {
    return this.#entries.get(name)?.value;
  }

  names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** Calls the handler for every value of this name, soon for one that is known, with `undefined` when it is gone. */
  on(name: string, handler: StateHandler): Off {
    const off = this.#handlers.add(name, handler);
    const entry = this.#entries.get(name);
    if (!entry?.told) return off;
    queueMicrotask(() => {
      // A newer value has reached the handler already.
      if (this.#entries.get(name) === entry) this.#handlers.callOne(handler, name, entry.value, name);
    });
    return off;
  }

  off(name: string, handler?: StateHandler): void {
    this.#handlers.remove(name, handler);
  }

  /** Calls back after every batch of changes in which something of this scope changed. */
  watch(scope: Scope, action: () => void): Off {
    return this.#watchers.add(scope, action);
  }

  /** Takes over what a state message says; `whole`: what it does not name does not exist. */
  apply(whole: boolean, changes: Uint8Array): void {
    let values: [string, Value][];
    let removed: string[];
    try {
      [values, removed] = read(changes);
    } catch (error) {
      report("a change of the state cannot be read:", error);
      return;
    }
    if (whole) {
      const named = new Set(values.map(([name]) => name));
      removed = [...this.#entries.keys()].filter((name) => !named.has(name));
    }
    // All of it is known before anybody is told: a handler that asks for another name finds what belongs together.
    for (const name of removed) this.#entries.delete(name);
    const entries = values.map(([name, value]): [string, Entry] => [name, { value, told: false }]);
    for (const [name, entry] of entries) this.#entries.set(name, entry);
    for (const name of removed) this.#handlers.call(name, undefined, name);
    for (const [name, entry] of entries) {
      entry.told = true;
      this.#handlers.call(name, entry.value, name);
    }
    const changed = [...removed, ...entries.map(([name]) => name)];
    const scopes = new Set(changed.map((name) => name.slice(0, name.indexOf(":"))));
    for (const scope of scopes) this.#watchers.call(scope);
  }
}

function read(changes: Uint8Array): [[string, Value][], string[]] {
  const decoded = decodeValue(changes, AROUND_A_VALUE);
  if (!Array.isArray(decoded) || decoded.length !== 2) throw new ProtocolError("changes are an array of two");
  const [values, removed] = decoded;
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new ProtocolError("changed values are a map");
  }
  if (!Array.isArray(removed) || removed.some((name) => typeof name !== "string")) {
    throw new ProtocolError("removed names are an array of text");
  }
  return [Object.entries(values), removed];
}

/** The names of one scope, as authors see them: by their keys. */
export class ReadableState {
  protected readonly prefix: string;
  readonly #known: KnownState;

  constructor(scope: Scope, known: KnownState) {
    this.prefix = `${scope}:`;
    this.#known = known;
  }

  /** The newest value, `undefined` where there is none. */
  get(key: string): Value {
    return this.#known.get(this.prefix + key);
  }

  keys(): string[] {
    return [...this.#known.names()]
      .filter((name) => name.startsWith(this.prefix))
      .map((name) => name.slice(this.prefix.length));
  }

  /** Calls the handler with the value that is known and with each new one; returns what takes it off again. */
  on(key: string, handler: StateHandler): Off {
    return this.#known.on(this.prefix + key, handler);
  }
}

/** One that a page may ask to change. What it asks for is not shown before the session says that it counts. */
export class WritableState extends ReadableState {
  readonly #emit: (name: string, value: unknown) => void;

  constructor(scope: Scope, known: KnownState, emit: (name: string, value: unknown) => void) {
    super(scope, known);
    this.#emit = emit;
  }

  set(key: string, value: unknown): void {
    if (key === "") throw new TypeError("a state needs a key");
    this.#emit(this.prefix + key, value);
  }
}
