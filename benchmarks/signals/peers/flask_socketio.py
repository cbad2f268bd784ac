"""Flask-SocketIO with threads, on the server that it starts by itself."""

import logging
import sys
import time

from flask import Flask, request
from flask_socketio import SocketIO, emit, join_room

from benchmarks.signals import workload

app = Flask(__name__)
sio = SocketIO(app, async_mode="threading", cors_allowed_origins="*")


@sio.on("connect")
def connect() -> None:
    """Let the viewer be found again after a disconnect: a room has the name that it brings along."""
    join_room(request.args["token"])


@sio.on("echo")
def echo(payload: object) -> None:
    emit("echo", payload)


# Every handler runs in a thread here.
sio.on_event("echo_plain", echo)


@sio.on("flood")
def flood(number: int) -> None:
    for index in range(number):
        emit("status", workload.status(index))


@sio.on("large")
def large(number: int) -> None:
    for _ in range(number):
        emit("large", workload.FLOATS)


@sio.on("binary")
def binary(number: int) -> None:
    for _ in range(number):
        emit("binary", workload.BINARY)


@sio.on("publish")
def publish(number: int) -> None:
    for index in range(number):
        emit("news", workload.status(index), broadcast=True)


@sio.on("compute")
def compute(seconds: float) -> None:
    workload.compute(seconds)


@sio.on("stream")
def stream(number: int) -> None:
    token = request.args["token"]
    begun = time.perf_counter()
    for index in range(number):
        if index % workload.STRIDE == 0:
            time.sleep(workload.until(begun, index))
        sio.emit("tick", index, to=token)


@sio.on("press")
def press(seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    for _ in range(workload.MOST_PRESSED):
        emit("pressed", workload.PRESSED)
        if time.perf_counter() > deadline:
            break


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    sio.run(app, host="127.0.0.1", port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
