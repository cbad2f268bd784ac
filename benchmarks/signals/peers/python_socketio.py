"""python-socketio's asyncio server on uvicorn."""

import asyncio
import sys
import time
from typing import Any
from urllib.parse import parse_qs

import socketio
import uvicorn

from benchmarks.signals import workload

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")


@sio.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    """Let the viewer be found again after a disconnect: a room has the name that it brings along."""
    await sio.enter_room(sid, parse_qs(environ["QUERY_STRING"])["token"][0])


@sio.event
async def echo(sid: str, payload: object) -> None:
    await sio.emit("echo", payload, to=sid)


@sio.event
async def flood(sid: str, number: int) -> None:
    for index in range(number):
        await sio.emit("status", workload.status(index), to=sid)


@sio.event
async def large(sid: str, number: int) -> None:
    for _ in range(number):
        await sio.emit("large", workload.FLOATS, to=sid)


@sio.event
async def binary(sid: str, number: int) -> None:
    for _ in range(number):
        await sio.emit("binary", workload.BINARY, to=sid)


@sio.event
async def publish(sid: str, number: int) -> None:
    for index in range(number):
        await sio.emit("news", workload.status(index))


@sio.event
async def compute(sid: str, seconds: float) -> None:
    workload.compute(seconds)


@sio.event
async def stream(sid: str, number: int) -> None:
    token = next(room for room in sio.rooms(sid) if room != sid)
    begun = time.perf_counter()
    for index in range(number):
        if index % workload.STRIDE == 0:
            await asyncio.sleep(workload.until(begun, index))
        await sio.emit("tick", index, room=token)


@sio.event
async def press(sid: str, seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    for _ in range(workload.MOST_PRESSED):
        await sio.emit("pressed", workload.PRESSED, to=sid)
        # emit never waits: without this nothing else would run.
        await asyncio.sleep(0)
        if time.perf_counter() > deadline:
            break


if __name__ == "__main__":
    uvicorn.run(
        socketio.ASGIApp(sio),
        port=int(sys.argv[1]),
        log_level="error",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )
