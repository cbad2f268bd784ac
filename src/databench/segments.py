"""Shared memory in which large payloads pass between a runner and the slots on its machine.

Owns the segments, all of them the runner's: memory without a name in any file system, which the kernel frees with
the last process that has it open, however that ends. Slots open them by way of `/proc`, read and write by copying
(on warm pages as quick as mapping them), and never hold on to them. Decides nothing (wire/references).

Rule 1: whoever reads or writes has the segment locked, and looks for the mark of the payload under the lock. The
kernel takes a lock back when its process ends.
Rule 2: the runner writes a payload to a segment that nobody has locked and whose earlier chunk is over.
Rule 3: a slot answers behind the payload, once: a second one finds the mark of the first and answers over the bus.
"""

import os
import secrets
import struct
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Self
from weakref import WeakSet

from databench.errors import RemoteProtocolError
from databench.wire.parts import Parts, size_of
from databench.wire.references import DATA, Reference

if sys.platform == "linux":
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock

SEGMENTS = 128
"""Segments of a process at most."""
BYTES = 512 * 2**20
"""Bytes of all of them from which on no other payload is taken in."""
IDLE = 5
"""Calls of `trim` after which a segment that was not used is given back to the system."""
_PREFIX = "databench-"
_MARKS = struct.Struct("<QQ")
"""What a segment begins with: the marks of the payload and of the answer, 0 where there is none."""
_AT_ONCE = 512
"""Parts that the system is given in one call; it takes 1,024."""


class UnreadableError(Exception):
    """A reference cannot be opened here, or what it referred to is over."""


class Segment:
    """Memory of this process that others may open."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self.descriptor = os.memfd_create(_PREFIX + self.name)
        self.capacity = 0
        """Bytes that it holds, as far as is known here."""
        self.idle = 0

    def __del__(self) -> None:
        if (descriptor := getattr(self, "descriptor", None)) is not None:
            os.close(descriptor)

    def lock(self) -> bool:
        """Lock it for writing; return False where somebody has it locked."""
        try:
            flock(self.descriptor, LOCK_EX | LOCK_NB)
        except OSError:
            return False
        self.idle = 0
        self.measure()
        return True

    def write(self, parts: Parts, mark: int) -> None:
        """Put a payload in and unlock it."""
        os.pwrite(self.descriptor, _MARKS.pack(0, 0), 0)
        _write(self.descriptor, parts, DATA)
        os.pwrite(self.descriptor, _MARKS.pack(mark, 0), 0)
        self.measure()
        flock(self.descriptor, LOCK_UN)

    def measure(self) -> None:
        """Learn how much it holds; slots make it larger."""
        self.capacity = os.fstat(self.descriptor).st_size


class Pool:
    """The segments of a process: used again and again, since fresh memory costs more than copying.

    `store` may be called from any thread.
    """

    def __init__(self, segments: int = SEGMENTS, size: int = BYTES) -> None:
        self._segments = segments if sys.platform == "linux" else 0
        self._size = size
        self._all: WeakSet[Segment] = WeakSet()
        self._free: deque[Segment] = deque()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.capacity for segment in self._all)

    def __len__(self) -> int:
        return len(self._all)

    def store(self, parts: Parts) -> "Stored | None":
        """Return a payload as it is now, copied to a segment; None where there is no room."""
        size = size_of(parts)
        with self._lock:
            segment = self._take(size)
        if segment is None:
            return None
        mark = secrets.randbits(62) + 1
        try:
            segment.write(parts, mark)
        except OSError:
            return None
        return Stored(segment, Reference(os.getpid(), segment.descriptor, segment.name, mark, size), self)

    def give_back(self, segment: Segment) -> None:
        """Have a segment used again. Called from wherever the last reference to a payload ends, so it locks nothing."""
        if not self._closed:
            self._free.append(segment)

    def trim(self) -> None:
        """Give memory back to the system that was not used lately."""
        with self._lock:
            for _ in range(len(self._free)):
                segment = self._free.popleft()
                segment.idle += 1
                if segment.idle <= IDLE:
                    self._free.append(segment)

    def close(self) -> None:
        """Give all memory back: what is still in use goes with its payload."""
        self._closed = True
        self._free.clear()

    def _take(self, size: int) -> Segment | None:
        """Return a segment, locked: one that was used lately, if it can be one that is large enough."""
        if self._closed:
            return None
        free = [self._free.pop() for _ in range(len(self._free))]
        free.sort(key=lambda segment: segment.capacity < size)
        taken = next((segment for segment in free if segment.lock()), None)
        self._free.extendleft(segment for segment in free if segment is not taken)
        if taken is None and len(self._all) < self._segments:
            with suppress(OSError):
                taken = Segment()
                taken.lock()
                self._all.add(taken)
        if taken is None or self._makes_room(size - taken.capacity):
            return taken
        self._free.append(taken)
        flock(taken.descriptor, LOCK_UN)
        return None

    def _makes_room(self, size: int) -> bool:
        while size > 0 and self.size + size > self._size:
            try:
                self._free.popleft()
            except IndexError:
                return False
        return True


class Stored:
    """A payload in a segment, which is free again when nobody has this any more."""

    def __init__(self, segment: Segment, reference: Reference, pool: Pool) -> None:
        self.reference = reference.to_bytes()
        """What travels in its place."""
        self._segment = segment
        self._where = reference
        self._region = Region(segment.descriptor, DATA, reference.size)
        self._pool = pool

    def __len__(self) -> int:
        return self._where.size

    def __del__(self) -> None:
        self._pool.give_back(self._segment)

    def __getitem__(self, part: slice) -> bytes:
        return self._region[part]

    def answer(self, reference: Reference) -> "Region":
        """Return the answer to which a slot refers; raises RemoteProtocolError where there is none."""
        where, segment = self._where, self._segment
        _, mark = _marks(segment.descriptor)
        segment.measure()
        if (
            (reference.pid, reference.descriptor, reference.name) != (where.pid, where.descriptor, where.name)
            or reference.mark != mark
            or where.behind + reference.size > segment.capacity
        ):
            raise RemoteProtocolError("a reference is not to an answer")
        return Region(segment.descriptor, where.behind, reference.size, self)


class Region:
    """A payload as it lies in a segment: read when it is asked for."""

    def __init__(self, descriptor: int, begin: int, size: int, owner: object = None) -> None:
        self._descriptor = descriptor
        self._begin = begin
        self._size = size
        self._owner = owner  # as long as somebody may read, nobody writes

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._size)
        return _read(self._descriptor, self._begin + begin, end - begin)

    def fill(self, target: memoryview, begin: int) -> None:
        """Copy what lies from `begin` on to the target."""
        filled = 0
        while filled < len(target):
            if not (size := os.preadv(self._descriptor, [target[filled:]], self._begin + begin + filled)):
                raise RemoteProtocolError("a segment is shorter than was said")
            filled += size


class Borrowed:
    """A segment of another process, open and locked from `borrow` to the end of the context."""

    def __init__(self, descriptor: int, reference: Reference) -> None:
        self.payload = Region(descriptor, DATA, reference.size)
        self._descriptor = descriptor
        self._reference = reference

    def answer(self, parts: Parts) -> bytes | None:
        """Put the answer behind the payload; return its reference, None where that cannot be done now."""
        reference, mark = self._reference, secrets.randbits(62) + 1
        try:
            flock(self._descriptor, LOCK_EX | LOCK_NB)
            if _marks(self._descriptor) != (reference.mark, 0):
                return None
            _write(self._descriptor, parts, reference.behind)
            os.pwrite(self._descriptor, _MARKS.pack(reference.mark, mark), 0)
        except OSError:
            return None
        return Reference(reference.pid, reference.descriptor, reference.name, mark, size_of(parts)).to_bytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def borrow(reference: Reference) -> Borrowed:
    """Open the segment of a reference; raises UnreadableError where it is not to be had (any more)."""
    if sys.platform != "linux":
        raise UnreadableError("there are no segments on this system")
    path = f"/proc/{reference.pid}/fd/{reference.descriptor}"
    descriptor = None
    try:
        # Looked at before it is opened: this number may be anything in a process of another machine or container.
        if os.readlink(path) != f"/memfd:{_PREFIX}{reference.name} (deleted)":
            raise UnreadableError(f"{path} is something else")
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        flock(descriptor, LOCK_SH | LOCK_NB)
        mark, _ = _marks(descriptor)
        size = os.fstat(descriptor).st_size
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
        raise UnreadableError(f"{path}: {error.strerror}") from None
    if mark != reference.mark or size < DATA + reference.size:
        os.close(descriptor)
        raise UnreadableError("the payload is not there any more")
    return Borrowed(descriptor, reference)


def _marks(descriptor: int) -> tuple[int, int]:
    first, second = _MARKS.unpack(os.pread(descriptor, _MARKS.size, 0).ljust(_MARKS.size, b"\0"))
    return first, second


def _read(descriptor: int, begin: int, size: int) -> bytes:
    data = os.pread(descriptor, size, begin)
    if len(data) < size:
        raise RemoteProtocolError("a segment is shorter than was said")
    return data


def _write(descriptor: int, parts: Sequence[bytes | memoryview], begin: int) -> None:
    left = deque(memoryview(part) for part in parts)
    while left:
        written = os.pwritev(descriptor, list(islice(left, _AT_ONCE)), begin)
        begin += written
        while left and written >= len(left[0]):
            written -= len(left.popleft())
        if written:
            left[0] = left[0][written:]
