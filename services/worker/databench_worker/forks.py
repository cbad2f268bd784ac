"""The parent's end of the nursery and of its slots: processes and their sockets on the event loop.

Owns how a slot is forked, spoken to, ended, and how its end is told in words. Decides nothing about chunks.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from pathlib import Path

from databench_worker.nursery import ENDED, FORK, KILL, ORDER, REPORT

_LENGTH = struct.Struct("!i")
"""What multiprocessing's Connection, which the slot uses, puts before a message of less than 2 GiB."""
_BUFFER = 2**20
_PATIENCE = 2.0

SINGLE_THREADED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Slots share the cores among themselves; a library with a thread for each core in each slot slows all down."""


class NurseryLostError(Exception):
    """The process that forks slots has ended; the message says how."""


class Slot:
    """A forked process and its socket."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """How the process ended, as soon as it has."""
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        """Return the next message; raises EOFError when the process is gone."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return await self._reader.readexactly(max(length, 0))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise EOFError from None

    def send(self, *messages: bytes) -> None:
        """Send messages. The buffer holds one chunk: a slot gets the next one when it is idle."""
        self._writer.writelines([part for each in messages for part in (_LENGTH.pack(len(each)), each)])

    def close(self) -> None:
        """Close the socket, whatever is unsent; the process ends itself at that."""
        self._writer.transport.abort()


class Nursery:
    """The running nursery. Made by `start`; ended by `close`."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """How the nursery ended, as soon as it has; its slots have ended with it."""
        self._process = process
        self._control = control
        self._received = bytearray()
        self._slots: dict[int, Slot] = {}
        self._numbers = 0

    @classmethod
    async def start(cls, folder: Path, worker: str) -> "Nursery":
        """Return the nursery when it has imported the analyses. Raises NurseryLostError when it ends before."""
        control, theirs = socket.socketpair()
        control.setblocking(False)
        with theirs:
            process = await create_subprocess_exec(
                *(sys.executable, "-m", "databench_worker.nursery"),
                *(str(theirs.fileno()), str(folder), worker),
                stdin=DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**dict.fromkeys(SINGLE_THREADED, "1"), **os.environ},
            )
        nursery = cls(process, control)
        try:
            ready = await asyncio.get_running_loop().sock_recv(control, REPORT.size)
            if not ready:
                raise NurseryLostError(f"it ended while it imported {folder}: {await nursery._how()}")
            asyncio.get_running_loop().add_reader(control, nursery._take_reports)
        except BaseException:
            await nursery.close()
            raise
        return nursery

    async def fork(self) -> Slot:
        """Return a new slot, which is about to say that it is ready. Raises NurseryLostError."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER)
            if self.lost.done():
                writer.close()
                raise NurseryLostError(self.lost.result())
            self._numbers += 1
            slot = self._slots[self._numbers] = Slot(self._numbers, reader, writer)
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
            self._ending = loop.create_task(self._end())
            return
        self._received += received
        whole = len(self._received) // REPORT.size * REPORT.size
        for what, number, status in REPORT.iter_unpack(bytes(self._received[:whole])):
            if what == ENDED and (slot := self._slots.pop(number, None)) is not None:
                slot.ended.set_result(in_words(status))
                # what it sent before it ended is read first; a process that it left behind may keep the socket
                asyncio.get_running_loop().call_later(_PATIENCE, slot.close)
        del self._received[:whole]

    async def _end(self) -> None:
        how = await self._how()
        self._all_ended("ended with the process that forked it")
        self.lost.set_result(how)

    async def _how(self) -> str:
        code = await self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def _all_ended(self, how: str) -> None:
        for slot in self._slots.values():
            slot.close()
            if not slot.ended.done():
                slot.ended.set_result(how)
        self._slots.clear()


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
