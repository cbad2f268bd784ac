"""Lean clients: the same WebSocket below, and as little as each protocol allows above it."""

from benchmarks.signals.protocols.contract import Client
from benchmarks.signals.protocols.databench import DatabenchClient
from benchmarks.signals.protocols.raw import RawClient
from benchmarks.signals.protocols.socketio import SocketIOClient

CLIENTS: dict[str, type[Client]] = {
    "raw": RawClient,
    "socketio": SocketIOClient,
    "databench": DatabenchClient,
}
