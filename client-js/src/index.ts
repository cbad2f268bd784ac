// The module: `import { connect } from "databench"`. Public names only.

import { Databench, type Options } from "./databench.ts";

export type { GapNews, SessionNews } from "./attachment.ts";
export type { Status } from "./connection.ts";
export { Databench, type DatabenchEvents, type Options } from "./databench.ts";
export type { Target } from "./elements/resolve.ts";
export type { Environment } from "./environment.ts";
export { DatabenchError, OutboxFullError, ProtocolError } from "./errors.ts";
export type { Payload, SignalHandler, Signals } from "./signals.ts";
export type { ReadableState, StateHandler, Value, WritableState } from "./state.ts";
export type { TokenStore } from "./tokens.ts";

/** Connects the page to an analysis. */
export function connect(name: string, options?: Options): Databench {
  return new Databench(name, options, import.meta.url);
}
