// The errors this client raises. A ProtocolError is the other side's fault, the rest are the page's.

export class DatabenchError extends Error {
  override name = "DatabenchError";
}

/** What was received does not follow the protocol. */
export class ProtocolError extends DatabenchError {
  override name = "ProtocolError";
}

/** Nothing more can be emitted until the session has acknowledged what it was sent. */
export class OutboxFullError extends DatabenchError {
  override name = "OutboxFullError";
}
