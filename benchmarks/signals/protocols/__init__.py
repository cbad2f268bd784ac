"""Lean clients: the same WebSocket below, and as little as each protocol allows above it."""

from benchmarks.signals.protocols.contract import Client
from benchmarks.signals.protocols.databench import DatabenchClient
from benchmarks.signals.protocols.raw import ChainClient, RawClient
from benchmarks.signals.protocols.socketio import SocketIOClient

CLIENTS: dict[str, type[Client]] = {
    "raw": RawClient,
    "chain": ChainClient,
    "socketio": SocketIOClient,
    "databench": DatabenchClient,
}
