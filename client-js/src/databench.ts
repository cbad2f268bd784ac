// The object that authors hold: signals, status, elements. Puts the parts together and decides nothing itself.

import { givenAddress, socketAddress } from "./address.ts";
import type { GapNews, SessionNews } from "./attachment.ts";
import { Connection, type Status } from "./connection.ts";
import { GenericElements, type GenericSource } from "./elements/generic.ts";
import { StatusLine } from "./elements/status.ts";
import { wirePage } from "./elements/wire.ts";
import { browserEnvironment, type Environment } from "./environment.ts";
import { DatabenchError } from "./errors.ts";
import { Handlers, type Off } from "./events.ts";
import { followSharedLinks, shareLink } from "./share.ts";
import { Signals } from "./signals.ts";
import { KnownState, ReadableState, WritableState } from "./state.ts";

export interface Options {
  /** The WebSocket of the analysis, where it is not beside the client's script. */
  readonly url?: string;
  /** Wire the `data-` attributes of the page: by default the first Databench of a page does. */
  readonly wire?: boolean;
  /** Show the state of the connection while it is not open. */
  readonly showStatus?: boolean;
  /** Replaces what the browser provides, for tests. */
  readonly environment?: Partial<Environment>;
}

export interface DatabenchEvents {
  /** The state of the connection changed. */
  readonly status: Status;
  /** A session was attached: a new one, or the one from before. */
  readonly session: SessionNews;
  /** Signals or broadcasts were lost for this page. */
  readonly gap: GapNews;
}

const wired = new WeakSet<Document>();

export class Databench {
  readonly name: string;
  readonly signals: Signals;
  /** The session's own state. */
  readonly state: WritableState;
  /** What all sessions of the analysis share. */
  readonly shared: WritableState;
  /** The signals that handlers are at work for: `{running, waiting, accepts}`. */
  readonly handling: ReadableState;
  /** The jobs of handlers: `{done, running, failed, total, rate, remaining, elapsed, over}`. */
  readonly progress: ReadableState;
  readonly genericElements: GenericElements;
  readonly #events = new Handlers<[DatabenchEvents[keyof DatabenchEvents]]>();
  readonly #connection: Connection;
  readonly #statusLine: StatusLine | null;
  readonly #known = new KnownState();
  readonly #unwire: Off;
  readonly #unfollow: Off;

  /** `script` is the address of the client itself. */
  constructor(name: string, options: Options = {}, script: string | null = null) {
    if (typeof name !== "string" || name === "") {
      throw new DatabenchError("Databench needs the name of an analysis, as in Databench('pi')");
    }
    this.name = name;
    const url = options.url
      ? givenAddress(options.url, document.baseURI)
      : socketAddress(name, script, document.baseURI);
    const environment = { ...browserEnvironment(), ...options.environment };
    this.signals = new Signals(
      (signal, payload) => this.#connection.emit(signal, payload),
      tellConsole,
      this.#known,
    );
    const emit = (signal: string, value: unknown) => this.signals.emit(signal, value);
    this.state = new WritableState("state", this.#known, emit);
    this.shared = new WritableState("shared", this.#known, emit);
    this.handling = new ReadableState("handling", this.#known);
    this.progress = new ReadableState("progress", this.#known);
    const source = { signals: this.signals, known: this.#known, clock: environment.clock };
    this.genericElements = new GenericElements(source);
    this.#statusLine =
      options.showStatus === false ? null : new StatusLine(name, environment.clock, () => this.retry());
    this.#connection = new Connection(
      url,
      environment.tokens(url, name),
      {
        status: (status) => this.#announce("status", status),
        session: (news) => this.#announce("session", news),
        gap: (gap) => this.#announce("gap", gap),
        state: (whole, changes) => this.#known.apply(whole, changes),
        signal: (signal, payload) => this.signals.deliver(signal, payload),
      },
      environment,
    );
    this.#unfollow = followSharedLinks(name, environment.reload);
    this.#unwire = this.#wire(options.wire, source);
  }

  get status(): Status["state"] {
    return this.#connection.status.state;
  }

  /** Calls the handler when something about the connection changes; returns what takes it off again. */
  on<Name extends keyof DatabenchEvents>(name: Name, handler: (event: DatabenchEvents[Name]) => void): Off {
    return this.#events.add(name, handler as (event: DatabenchEvents[keyof DatabenchEvents]) => void);
  }

  /** Tries to connect now instead of later. */
  retry(): void {
    this.#connection.retry();
  }

  /** The address at which somebody else sees this session; null until it is attached, and when it is over. */
  shareLink(): string | null {
    const token = this.#connection.session;
    return token === null ? null : shareLink(location.href, this.name, token);
  }

  /** Ends the session, unless somebody else watches it. */
  close(): void {
    this.#connection.close();
    this.#statusLine?.remove();
    this.#unfollow();
    this.#unwire();
  }

  #announce<Name extends keyof DatabenchEvents>(name: Name, event: DatabenchEvents[Name]): void {
    if (name === "status") this.#statusLine?.show(event as Status);
    if (name === "session") this.#statusLine?.attached(event as SessionNews);
    if (name === "gap") {
      const { count, kind } = event as GapNews;
      console.warn(`Databench: ${count} ${kind} were lost for this page`);
    }
    this.#events.call(name, event);
  }

  #wire(asked: boolean | undefined, source: GenericSource): Off {
    if (!(asked ?? !wired.has(document))) return () => {};
    wired.add(document);
    const unwire = wirePage(document, {
      ...source,
      unaccepted: (name) => this.#connection.unaccepted(name),
    });
    return () => {
      wired.delete(document);
      unwire();
    };
  }
}

function tellConsole(payload: unknown, name: string): void {
  if (name === "error") console.error("Databench: the analysis reports an error:", payload);
  else if (name === "warn") console.warn("Databench: the analysis warns:", payload);
}
