"""The parent's end of the nursery and of its slots: processes and their sockets on the event loop.

Owns how a slot is forked, spoken to, ended, and how its end is told in words. Decides nothing about chunks.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Protocol

from databench.wire.outbox import Outbox
from databench_worker.guard import Guard
from databench_worker.nursery import ENDED, FORK, FORKED, KILL, ORDER, REPORT
from databench_worker.pipe import Frame, Reader, laid_out

_PATIENCE = 2.0
_READS = 64
"""Times that a slot's socket is read before others get their turn."""
_SOCKET_BUFFER = 2**20
"""Bytes that a slot's socket should hold, so that a large payload takes few wake-ups. The system may allow less."""

SINGLE_THREADED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Slots share the cores among themselves; a library with a thread for each core in each slot slows all down."""
_KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20)}
"""What glibc arrives at by itself once an array of 32 MiB was freed: memory is kept for the next array, since to get
it anew from the system takes longer than to compute with it."""


class NurseryLostError(Exception):
    """The process that forks slots has ended; the message says how."""


class Watcher(Protocol):
    """Who is told what a slot does."""

    def heard(self, slot: "Slot", frames: list[Frame]) -> None:
        """The slot has sent something."""

    def ended(self, slot: "Slot", how: str) -> None:
        """The slot's process has ended, after everything that it had sent was heard."""


class Slot:
    """A forked process and its socket."""

    def __init__(self, number: int, ours: socket.socket, watcher: Watcher, guard: Guard) -> None:
        self.number = number
        self.pid = 0
        self._socket = ours
        self._watcher = watcher
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._outbox = Outbox()
        self._unsent: deque[memoryview] = deque()
        self._writing = False
        self._over = False
        ours.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            ours.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
        self._loop.add_reader(ours, guard, self._receive)

    def send(self, envelope: bytes, payload: bytes = b"") -> None:
        """Have a message sent by the next `flush`, joined with others. The lineup bounds how many wait."""
        self._outbox.pass_on(b"", envelope, payload)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it; the rest follows by itself."""
        if not self._over and not self._writing:
            self._write()

    def _write(self) -> None:
        parts = self._unsent
        for _, envelope, payload in self._outbox.take():
            parts.extend(map(memoryview, laid_out(envelope, payload)))
        try:
            while parts:
                sent = self._socket.sendmsg(list(islice(parts, 64)))
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.popleft())
                if sent:
                    parts[0] = parts[0][sent:]
        except BlockingIOError:
            pass
        except OSError:
            parts.clear()  # the process has ended; that is about to be told
        if bool(parts) != self._writing:
            self._writing = bool(parts)
            if self._writing:
                self._loop.add_writer(self._socket, self._guard, self._write)
            else:
                self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        """Take what has arrived, as far as it has; then others get their turn."""
        frames: list[Frame] = []
        try:
            for _ in range(_READS):
                target = self._reader.target()
                if not (size := self._socket.recv_into(target)):
                    self._loop.remove_reader(self._socket)  # the end of the process is about to be told
                    break
                frames += self._reader.received(size)
                if size < len(target):
                    break
        except BlockingIOError:
            pass
        except OSError:
            self._loop.remove_reader(self._socket)
        if frames:
            self._watcher.heard(self, frames)

    def process_ended(self, how: str) -> None:
        """Hear what the process had sent before it ended, and tell of its end, once."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(OSError):
            while size := self._socket.recv_into(self._reader.target()):
                if frames := self._reader.received(size):
                    self._watcher.heard(self, frames)
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._watcher.ended(self, how)


class Nursery:
    """The running nursery. Made by `start`; ended by `close`."""

    def __init__(self, process: Process, control: socket.socket, guard: Guard) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """How the nursery ended, as soon as it has; its slots have ended with it."""
        self._process = process
        self._control = control
        self._guard = guard
        self._received = bytearray()
        self._slots: dict[int, Slot] = {}
        self._numbers = 0

    @classmethod
    async def start(cls, folder: Path, worker: str, memory: int, guard: Guard) -> "Nursery":
        """Return the nursery when it has imported the analyses. Raises NurseryLostError when it ends before."""
        control, theirs = socket.socketpair()
        control.setblocking(False)
        with theirs:
            process = await create_subprocess_exec(
                *(sys.executable, "-m", "databench_worker.nursery"),
                *(str(theirs.fileno()), str(folder), worker, str(memory)),
                stdin=DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**dict.fromkeys(SINGLE_THREADED, "1"), **_KEEPING, **os.environ},
            )
        nursery = cls(process, control, guard)
        try:
            ready = await asyncio.get_running_loop().sock_recv(control, REPORT.size)
            if not ready:
                raise NurseryLostError(f"it ended while it imported {folder}: {await nursery._how()}")
            asyncio.get_running_loop().add_reader(control, guard, nursery._take_reports)
        except BaseException:
            await nursery.close()
            raise
        return nursery

    def fork(self, watcher: Watcher) -> Slot:
        """Return a new slot, which is about to say that it is ready, or that it has ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._numbers += 1
            slot = self._slots[self._numbers] = Slot(self._numbers, ours, watcher, self._guard)
            with contextlib.suppress(OSError):  # then `lost` is about to tell
                socket.send_fds(self._control, [ORDER.pack(FORK, slot.number)], [theirs.fileno()])
        return slot

    def kill(self, slot: Slot) -> None:
        """End a slot's process at once; does nothing to one that has ended."""
        with contextlib.suppress(OSError):
            self._control.send(ORDER.pack(KILL, slot.number))

    async def close(self) -> None:
        """End the nursery and all its slots, and wait for that."""
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._all_ended("ended with its worker")

    def _take_reports(self) -> None:
        try:
            received = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._control)
            self._ending = loop.create_task(self._guard.over(self._end()))
            return
        self._received += received
        whole = len(self._received) // REPORT.size * REPORT.size
        for what, number, status in REPORT.iter_unpack(bytes(self._received[:whole])):
            if what == FORKED and number in self._slots:
                self._slots[number].pid = status
            elif what == ENDED and (slot := self._slots.pop(number, None)) is not None:
                slot.process_ended(in_words(status))
        del self._received[:whole]

    async def _end(self) -> None:
        # Nobody else ends the slots now, and what they started; a task that holds the interpreter notices nothing.
        for slot in self._slots.values():
            if slot.pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(slot.pid, signal.SIGKILL)
        how = await self._how()
        self._all_ended("ended with the process that forked it")
        self.lost.set_result(how)

    async def _how(self) -> str:
        code = await self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def _all_ended(self, how: str) -> None:
        slots, self._slots = list(self._slots.values()), {}
        for slot in slots:
            slot.process_ended(how)


def in_words(status: int) -> str:
    """Return how a process ended, from its status as `waitpid` gives it.

    >>> in_words(9)
    'killed by signal 9 (SIGKILL)'
    >>> in_words(3 << 8)
    'exit code 3'
    """
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    names = {member.value: member.name for member in signal.Signals}
    return f"killed by signal {-code} ({names.get(-code, 'unknown')})"
