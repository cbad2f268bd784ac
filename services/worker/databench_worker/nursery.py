"""The nursery: a process that imports the analyses once and forks a slot in milliseconds.

Runs no task, has one thread, and does what the worker's parent asks over one socket. A fork server of our own: the
one of multiprocessing is one per process whatever the folder, and imports the parent's main module into each slot.
"""

import gc
import os
import selectors
import signal
import socket
import struct
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from databench.loading import load
from databench_worker import slot

ORDER = struct.Struct("!cq")
"""From the parent: FORK with the slot's end of its socket attached and the slot's number, or KILL with it."""
FORK, KILL = b"f", b"k"
REPORT = struct.Struct("!cqi")
"""To the parent: READY, FORKED (number, process id) or ENDED (number, status as `waitpid` gives it)."""
READY, FORKED, ENDED = b"r", b"f", b"e"


def main(descriptor: int, folder: Path, worker: str, memory: int) -> None:
    """Serve until the parent is gone; then end every slot."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    for fault in load(folder).catalog.faults:
        with suppress(OSError):  # whoever read what we say is gone; the slots are wanted all the same
            print(f"{fault.module} was not loaded: {fault.summary}", file=sys.stderr, flush=True)  # noqa: T201
    try:
        control.sendall(REPORT.pack(READY, 0, 0))
    except BrokenPipeError:
        return  # the parent stopped meanwhile
    Nursery(control, worker, memory).serve()


class Nursery:
    """The slots that live, by their numbers."""

    def __init__(self, control: socket.socket, worker: str, memory: int) -> None:
        self._control = control
        self._worker = worker
        self._memory = memory
        self._pids: dict[int, int] = {}
        self._wake, wakes = socket.socketpair()
        self._wake.setblocking(False)
        wakes.setblocking(False)
        self._wakes = wakes
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only so that the wake-up descriptor is written to
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Carry out orders and report ends until the parent hangs up."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            try:
                while all(self._handle(key.fileobj) for key, _ in selector.select()):
                    pass
            except OSError:
                pass  # the parent is gone in the middle of a report
        # The slots that end now wake nobody: the descriptor is closed before the process ends.
        signal.set_wakeup_fd(-1)
        for number in list(self._pids):
            self._kill(number)

    def _handle(self, ready: object) -> bool:
        if ready is self._wake:
            with suppress(BlockingIOError):
                self._wake.recv(4096)
            self._reap()
            return True
        return self._obey()

    def _obey(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._control, ORDER.size, 1)
        if not order:
            return False
        if len(order) < ORDER.size:
            order += self._control.recv(ORDER.size - len(order), socket.MSG_WAITALL)
        what, number = ORDER.unpack(order)
        if what == FORK:
            self._fork(number, descriptors[0])
        else:
            self._kill(number)
        return True

    def _fork(self, number: int, descriptor: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # threads of libraries; those of numpy know what a fork is
            pid = os.fork()
        if pid == 0:
            self._become_slot(descriptor)
        os.close(descriptor)
        self._pids[number] = pid
        self._control.sendall(REPORT.pack(FORKED, number, pid))

    def _become_slot(self, descriptor: int) -> None:
        """Never returns: the child lives as a slot."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setpgid(0, 0)  # what a task starts ends with its slot
            for own in (self._control, self._wake, self._wakes):
                own.close()
            gc.freeze()  # what was there before is nobody's garbage, and its memory stays shared
            os.set_inheritable(descriptor, False)
            slot.main(socket.socket(fileno=descriptor), self._worker, self._memory)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for number, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[number]
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                self._control.sendall(REPORT.pack(ENDED, number, status))

    def _kill(self, number: int) -> None:
        """End a slot and what it started. Only here is it known that its process id is still its own."""
        if (pid := self._pids.get(number)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
