"""The limit: a Starlette WebSocket that sends msgpack, one message for each signal."""

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any

import msgpack
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.signals import workload

viewers: dict[str, WebSocket] = {}
running: set[asyncio.Task[None]] = set()


async def handle(socket: WebSocket, token: str, name: str, payload: Any) -> None:
    """Handle a signal."""

    async def emit(signal: str, value: object) -> None:
        await socket.send_bytes(msgpack.packb([signal, value]))

    match name:
        case "echo":
            await emit("echo", payload)
        case "flood":
            for index in range(payload):
                await emit("status", workload.status(index))
        case "large":
            for _ in range(payload):
                await emit("large", workload.FLOATS)
        case "binary":
            for _ in range(payload):
                await emit("binary", workload.BINARY)
        case "publish":
            for index in range(payload):
                data = msgpack.packb(["news", workload.status(index)])
                for viewer in list(viewers.values()):
                    await viewer.send_bytes(data)
        case "compute":
            workload.compute(payload)
        case "stream":
            task = asyncio.create_task(stream(token, payload))
            running.add(task)
            task.add_done_callback(running.discard)
        case "press":
            deadline = time.perf_counter() + payload
            for _ in range(workload.MOST_PRESSED):
                await emit("pressed", workload.PRESSED)
                if time.perf_counter() > deadline:
                    break


async def stream(token: str, number: int) -> None:
    """Emit at a steady rate to whatever socket the viewer has now."""
    begun = time.perf_counter()
    for index in range(number):
        if index % workload.STRIDE == 0:
            await asyncio.sleep(workload.until(begun, index))
        if token in viewers:
            with suppress(RuntimeError, WebSocketDisconnect):
                await viewers[token].send_bytes(msgpack.packb(["tick", index]))


async def serve(socket: WebSocket) -> None:
    """Serve a viewer until it is gone."""
    await socket.accept()
    token = socket.query_params["token"]
    viewers[token] = socket
    try:
        while True:
            name, payload = msgpack.unpackb(await socket.receive_bytes())
            await handle(socket, token, name, payload)
    except WebSocketDisconnect:
        if viewers.get(token) is socket:
            del viewers[token]


if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=[WebSocketRoute("/", serve)]),
        port=int(sys.argv[1]),
        log_level="error",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )
