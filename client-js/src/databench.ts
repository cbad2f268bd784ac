// The object that authors hold: signals, status, elements. Puts the parts together and decides nothing itself.

import { givenAddress, socketAddress } from "./address.ts";
import type { SessionNews } from "./attachment.ts";
import { Connection, type Status } from "./connection.ts";
import { GenericElements } from "./elements/generic.ts";
import { StatusLine } from "./elements/status.ts";
import { wirePage } from "./elements/wire.ts";
import { browserEnvironment, type Environment } from "./environment.ts";
import { DatabenchError } from "./errors.ts";
import { Handlers, type Off } from "./events.ts";
import { Signals } from "./signals.ts";

export interface Options {
  /** The WebSocket of the analysis, where it is not beside the client's script. */
  readonly url?: string;
  /** Wire `data-signal` and `data-emit` of the page: by default the first Databench of a page does. */
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
  /** Signals were lost for this page. */
  readonly gap: { readonly count: number };
}

const wired = new WeakSet<Document>();

export class Databench {
  readonly name: string;
  readonly signals: Signals;
  readonly genericElements: GenericElements;
  readonly #events = new Handlers<[DatabenchEvents[keyof DatabenchEvents]]>();
  readonly #connection: Connection;
  readonly #statusLine: StatusLine | null;
  readonly #unwire: Off;

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
    this.signals = new Signals((signal, payload) => this.#connection.emit(signal, payload), tellConsole);
    this.genericElements = new GenericElements(this.signals);
    this.#statusLine =
      options.showStatus === false ? null : new StatusLine(name, environment.clock, () => this.retry());
    this.#connection = new Connection(
      url,
      {
        status: (status) => this.#announce("status", status),
        session: (news) => this.#announce("session", news),
        gap: (count) => this.#announce("gap", { count }),
        signal: (signal, payload) => this.signals.deliver(signal, payload),
      },
      environment,
    );
    this.#unwire = this.#wire(options.wire);
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

  close(): void {
    this.#connection.close();
    this.#statusLine?.remove();
    this.#unwire();
  }

  #announce<Name extends keyof DatabenchEvents>(name: Name, event: DatabenchEvents[Name]): void {
    if (name === "status") this.#statusLine?.show(event as Status);
    if (name === "session") this.#statusLine?.attached(event as SessionNews);
    if (name === "gap") {
      console.warn(`Databench: ${(event as DatabenchEvents["gap"]).count} signals were lost for this page`);
    }
    this.#events.call(name, event);
  }

  #wire(asked: boolean | undefined): Off {
    if (!(asked ?? !wired.has(document))) return () => {};
    wired.add(document);
    const unwire = wirePage(document, this.signals);
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
