"""A slot: the process that runs one chunk after another.

Forked by the nursery with the analyses imported. Speaks with the worker's parent over one socket, in bytes only:
`slots` when it is ready, then for each `run` a `done` or a `failed`, or `returned` where a `drop` came before it
was begun. Knows nothing of the bus.
"""

import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TextIO

from databench.errors import RemoteProtocolError
from databench.jobs import Ran, become_worker, perform
from databench.segments import Borrowed, UnreadableError, borrow
from databench.wire import codec
from databench.wire.chunks import Failure
from databench.wire.messages import Done, Drop, Failed, Message, Returned, Run, Slots
from databench.wire.outbox import INLINE, inline, read
from databench.wire.parts import Parts, joined, size_of
from databench.wire.references import SHARED, UNREADABLE, Reference
from databench_worker.memory import in_words
from databench_worker.pipe import Frame, Reader, laid_out

AT_ONCE = 64
"""Parts of a message that the system is given in one call."""
LOOK = 0.001
"""Seconds between two looks whether what waits was withdrawn: to look costs as much as to call a short task."""


def main(parent: socket.socket, worker: str, memory: int) -> None:
    """Run chunks until the parent closes the connection or ends this process."""
    become_worker(worker)
    _own_randomness()
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    threading.Thread(target=_end_with_parent, args=(parent.fileno(),), daemon=True).start()
    with suppress(EOFError, ConnectionError):
        _Slot(parent, memory).serve()


class _Slot:
    def __init__(self, parent: socket.socket, memory: int) -> None:
        self._parent = parent
        self._memory = memory
        self._reader = Reader()
        self._looked = 0.0
        self._ahead: deque[tuple[Run, bytes | None]] = deque()

    def serve(self) -> None:
        """Run what comes; raises EOFError when the parent is gone."""
        self._send(Slots(1))
        while True:
            self._receive()
            if self._ahead:
                self._run(*self._ahead.popleft())

    def _run(self, run: Run, payload: bytes | None) -> None:
        if payload is None:
            failure = Failure(None, "MemoryError", "no room for the arguments of the chunk", "").to_bytes()
            self._send(*self._failed(run, failure))
            return
        try:
            reference = Reference.of(payload)
            borrowed = borrow(reference) if reference is not None else None
        except (UnreadableError, RemoteProtocolError) as error:
            failure = Failure(None, "Unreadable", str(error), "").to_bytes()
            self._send(Failed(run.job, run.chunk, UNREADABLE, failure))
            return
        if borrowed is None:
            answer = self._answer(run, perform(run.task, payload), None)
        else:
            with borrowed:  # let go of before the runner learns that it may use it again
                answer = self._answer(run, perform(run.task, borrowed.payload), borrowed)
        _flush(sys.stdout)
        _flush(sys.stderr)
        self._send(*answer)

    def _answer(self, run: Run, ran: Ran, borrowed: Borrowed | None) -> tuple[Message, Parts]:
        """Return what is sent of a chunk that ran, and its payload."""
        parts = ran.parts
        if ran.failed:
            return self._failed(run, ran.payload)
        if borrowed is not None and size_of(parts) >= SHARED and (stored := borrowed.answer(parts)) is not None:
            parts = [stored]
        inlined = joined(parts) if size_of(parts) <= INLINE else None
        return Done(run.job, run.chunk, ran.seconds, inlined), parts

    def _failed(self, run: Run, failure: bytes) -> tuple[Message, Parts]:
        if self._memory:
            failure = _with_limit(failure, self._memory)
        return Failed(run.job, run.chunk, "raised", inline(failure)), [failure]

    def _receive(self) -> None:
        """Wait for something to do; where there is something already, only look whether it was withdrawn."""
        if self._ahead and time.monotonic() < self._looked + LOOK:
            return
        frames: list[Frame] = []
        while not frames:
            target = self._reader.target()
            try:
                size = self._parent.recv_into(target, 0, socket.MSG_DONTWAIT if self._ahead else 0)
            except BlockingIOError:
                break
            if not size:
                raise EOFError
            frames = self._reader.received(size)
        for envelope, own_frame in frames:
            for message, payload in read(envelope, own_frame or b"", (Run, Drop)):
                if isinstance(message, Run):
                    lacking = own_frame is None and message.payload is None
                    self._ahead.append((message, None if lacking else payload))
                elif isinstance(message, Drop):
                    self._withdraw(message)
        self._looked = time.monotonic()

    def _withdraw(self, drop: Drop) -> None:
        for entry in self._ahead:
            if (entry[0].job, entry[0].chunk) == (drop.job, drop.chunk):
                self._ahead.remove(entry)
                self._send(Returned(drop.job, drop.chunk))
                return

    def _send(self, message: Message, payload: Parts = ()) -> None:
        own_frame = payload if getattr(message, "payload", b"") is None else ()
        frame = laid_out(codec.encode(message), *own_frame)
        if len(frame) == 1:
            self._parent.sendall(frame[0])
            return
        parts = deque(memoryview(part) for part in frame)
        while parts:
            sent = self._parent.sendmsg(list(islice(parts, AT_ONCE)))
            while parts and sent >= len(parts[0]):
                sent -= len(parts.popleft())
            if sent:
                parts[0] = parts[0][sent:]


def _flush(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        return  # closed, or nobody reads it any more


def _with_limit(payload: bytes, memory: int) -> bytes:
    """Return the failure; where memory was short it names the limit."""
    failure = Failure.from_bytes(payload)
    if "MemoryError" not in failure.type:
        return payload
    message = f"{failure.message or 'out of memory'}; {in_words(memory)}"
    return Failure(failure.item, failure.type, message, failure.traceback).to_bytes()


def _own_randomness() -> None:
    """All slots are copies of one process: give numpy's global generator a seed of its own, as `random` has."""
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed()


def _end_with_parent(descriptor: int) -> None:
    """End this process, and whatever its tasks started, at once when the parent is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing but the hang-up, which cannot be turned off
    poll.poll()
    os.killpg(0, signal.SIGKILL)
