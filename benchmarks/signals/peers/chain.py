"""The bare chain: the processes and sockets of Databench, and nothing else.

client - uvicorn and FastAPI - PUB - forwarder - SUB - handler, and back. Sockets are drained at each wake-up, signals
are encoded once and joined at both ends. No session, no log, no acknowledgement, no check, no bound: the yardstick for
what those cost.

python -m benchmarks.signals.peers.chain PORT DIRECTORY    the gateway, which starts the broker and the runner
"""

import asyncio
import os
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack
import uvicorn
import zmq
from fastapi import FastAPI
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.signals import workload

FRAME = 64_000
"""Signals that are ready are joined to frames of at most this many bytes."""
PROBE_INTERVAL = 0.02
"""Seconds between two probes of a gateway that begins."""
TO_RUNNER, TO_GATEWAY = b"r/", b"g/"


class Bus:
    """The ends of the bus in one process; `take` gets the frames behind the topic."""

    def __init__(self, directory: str, topic: bytes, take: Callable[[list[bytes]], None]) -> None:
        context = zmq.Context.instance()
        self._publisher, self._subscriber = context.socket(zmq.PUB), context.socket(zmq.SUB)
        self._publisher.sndhwm = self._subscriber.rcvhwm = 0
        self._publisher.connect(f"ipc://{directory}/in")
        self._subscriber.connect(f"ipc://{directory}/out")
        self._subscriber.subscribe(topic)
        self._take = take
        asyncio.get_running_loop().add_reader(self._subscriber.fileno(), self._drain)

    def publish(self, *frames: bytes) -> None:
        self._publisher.send_multipart(frames)

    def _drain(self) -> None:
        while True:
            try:
                frames = self._subscriber.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(frames[1:])


def joined(frames: "deque[bytes]") -> bytes:
    """Take as many of the frames as go into one, and at least the first."""
    parts = [frames.popleft()]
    size = len(parts[0])
    while frames and size + len(frames[0]) <= FRAME:
        parts.append(frames.popleft())
        size += len(parts[-1])
    return b"".join(parts)


class Bridge:
    """A viewer's WebSocket and what waits for it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._outbox: deque[bytes] = deque()
        self._ready = asyncio.Event()

    def deliver(self, frame: bytes) -> None:
        self._outbox.append(frame)
        self._ready.set()

    async def write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._outbox:
                await self._socket.send_bytes(joined(self._outbox))


async def gateway(port: int, directory: str) -> None:
    """Relay between WebSockets and the bus, once a probe has come all the way round."""
    app = FastAPI()
    bridges: dict[bytes, Bridge] = {}
    answered = asyncio.Event()

    def take(frames: list[bytes]) -> None:
        match frames:
            case [b"probe"]:
                answered.set()
            case [b"", frame]:
                for bridge in bridges.values():
                    bridge.deliver(frame)
            case [viewer, frame] if viewer in bridges:
                bridges[viewer].deliver(frame)

    bus = Bus(directory, TO_GATEWAY, take)

    @app.websocket("/")
    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        viewer = secrets.token_hex(8).encode()
        bridge = bridges[viewer] = Bridge(socket)
        writing = asyncio.create_task(bridge.write())
        try:
            while True:
                bus.publish(TO_RUNNER, viewer, await socket.receive_bytes())
        except WebSocketDisconnect:
            del bridges[viewer]
        finally:
            writing.cancel()

    while not answered.is_set():
        bus.publish(TO_RUNNER, b"probe")
        await asyncio.sleep(PROBE_INTERVAL)
    config = uvicorn.Config(
        app, port=port, log_level="error", ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off"
    )
    await uvicorn.Server(config).serve()


class Runner:
    """Handles signals: `echo` at once, all others in threads."""

    def __init__(self, directory: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._emitted: dict[bytes, deque[bytes]] = {}
        self._asked = False
        self._lock = threading.Lock()
        self._packer = msgpack.Packer()
        self._bus = Bus(directory, TO_RUNNER, self._receive)

    def _receive(self, frames: list[bytes]) -> None:
        if frames == [b"probe"]:
            self._bus.publish(TO_GATEWAY, b"probe")
            return
        viewer, frame = frames
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unpacker.feed(frame)
        for name, payload in unpacker:
            if name == "echo":
                self._emit(self._packer, viewer, "echo", payload)
            else:
                threading.Thread(target=self._handle, args=(viewer, name, payload), daemon=True).start()

    def _handle(self, viewer: bytes, name: str, payload: Any) -> None:
        emit = partial(self._emit, msgpack.Packer())
        match name:
            case "echo_plain":
                emit(viewer, "echo", payload)
            case "flood":
                for index in range(payload):
                    emit(viewer, "status", workload.status(index))
            case "publish":
                for index in range(payload):
                    emit(b"", "news", workload.status(index))
            case "large":
                for _ in range(payload):
                    emit(viewer, "large", workload.FLOATS)
            case "binary":
                for _ in range(payload):
                    emit(viewer, "binary", workload.BINARY)

    def _emit(self, packer: msgpack.Packer, viewer: bytes, name: str, payload: object) -> None:
        packed = packer.pack((name, payload))
        with self._lock:
            self._emitted.setdefault(viewer, deque()).append(packed)
            if self._asked:
                return
            self._asked = True
        self._loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        with self._lock:
            emitted, self._emitted, self._asked = self._emitted, {}, False
        for viewer, frames in emitted.items():
            while frames:
                self._bus.publish(TO_GATEWAY, viewer, joined(frames))


async def runner(directory: str) -> None:
    """Run until the gateway is gone."""
    Runner(directory)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


def broker(directory: str) -> None:
    """Forward until the gateway is gone."""
    context = zmq.Context.instance()
    inward, outward = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    inward.rcvhwm = outward.sndhwm = 0
    inward.bind(f"ipc://{directory}/in")
    outward.bind(f"ipc://{directory}/out")
    # Everything is wanted from every publisher at once.
    inward.send(b"\x01")
    threading.Thread(target=zmq.proxy, args=(inward, outward), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


def main(what: str, directory: str) -> None:
    """Be one of the three processes."""
    match what:
        case "broker":
            broker(directory)
        case "runner":
            asyncio.run(runner(directory))
        case port:
            command = [sys.executable, "-m", "benchmarks.signals.peers.chain"]
            for role in ("broker", "runner"):
                # Their standard input ends with this process, and they with it.
                subprocess.Popen([*command, role, directory], stdin=subprocess.PIPE)
            asyncio.run(gateway(int(port), directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
