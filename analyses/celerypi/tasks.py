"""The part that needs Celery. Its workers import this module and find `app` in it."""

import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from celery import Celery, uuid
from kombu.entity import Queue
from kombu.messaging import Consumer

EXPIRES = 300
"""Seconds after which a task that no worker has begun is forgotten, and nobody waits for it any more."""
LOOK = 0.5
"""Seconds between two looks whether the results are still wanted."""


def connect(backend: str | None = None) -> Celery:
    """Return Celery over the RabbitMQ of $CELERY_BROKER_URL, else that of this machine."""
    celery = Celery("celerypi", backend=backend, set_as_current=False)
    celery.conf.update(
        task_default_queue="celerypi",
        worker_prefetch_multiplier=1,
        broker_connection_timeout=1,
        broker_connection_retry_on_startup=True,
    )
    return celery


app = connect("rpc://")
"""For workers: results go to the queue that is named with the task."""
client = connect()


@app.task(name="celerypi.walk")
def walk(walks: int, steps: int, seed: int) -> dict[str, Any]:
    """Walk so many times from the origin, each step one long and in any direction.

    Returns the sum of the distances from the origin, and every tenth place of one of the walks.
    """
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, (walks, steps))
    x, y = np.cos(angles).cumsum(axis=1), np.sin(angles).cumsum(axis=1)
    path = np.stack([x[0], y[0]], axis=1)[9::10]
    return {"distance": float(np.hypot(x[:, -1], y[:, -1]).sum()), "path": path.round(1).tolist()}


def command() -> str:
    """Return what starts a worker."""
    return f"celery --app {__name__} worker"


def reachable() -> bool:
    """Whether something listens where RabbitMQ should be."""
    broker = client.connection_for_write()
    try:
        socket.create_connection((broker.hostname, broker.port or broker.transport.default_port), timeout=0.5).close()
    except OSError:
        return False
    return True


def missing() -> str:
    """Say what is missing before tasks can run; nothing if all is there."""
    if not reachable():
        return (
            f"No RabbitMQ answers at {client.connection_for_write().as_uri()}. Start one with rabbitmq-server, or say "
            "in CELERY_BROKER_URL where it is, and begin again."
        )
    with client.connection_for_write() as connection:
        if client.control.broadcast("ping", connection=connection, reply=True, timeout=1, limit=1):
            return ""
    return "RabbitMQ is there, but no worker of Celery yet. In the folder that holds the analyses start: " + command()


def spread(arguments: Iterable[tuple[int, ...]], check: Callable[[], None]) -> Generator[dict[str, Any]]:
    """Run `walk` on the workers; give each result as it comes.

    `check` raises when the results are not wanted any more. When this generator is closed, however it ends, what is
    left of the tasks is revoked, and what runs is ended. Raises what a task raised, and TimeoutError.
    """
    arrived: deque[dict[str, Any]] = deque()
    with client.connection_for_write() as connection:
        replies = Queue(uuid(), durable=False, exclusive=True)  # of this run alone, and gone with its connection
        waiting = set()
        try:
            with Consumer(connection, [replies], no_ack=True) as consumer:
                consumer.register_callback(lambda reply, _: arrived.append(reply))
                for each in arguments:
                    sent = client.send_task(
                        walk.name, each, connection=connection, reply_to=replies.name, expires=EXPIRES
                    )
                    waiting.add(sent.id)
                last = time.monotonic()
                while waiting:
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=LOOK)
                        last = time.monotonic()
                    check()
                    while arrived:
                        reply = arrived.popleft()
                        waiting.discard(reply["task_id"])
                        yield _result(reply)
                    if time.monotonic() - last > EXPIRES:
                        raise TimeoutError(f"no result came for {EXPIRES} seconds")
        finally:
            if waiting:
                client.control.revoke(list(waiting), connection=connection, terminate=True, signal="SIGKILL")


def _result(reply: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = reply["result"]
    if reply["status"] != "SUCCESS":
        raise app.backend.exception_to_python(result)
    return result
