"""Shared memory: what is read is what was stored, whoever dies meanwhile; and nothing is left behind."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from databench import segments
from databench.errors import RemoteProtocolError
from databench.segments import IDLE, Borrowed, Pool, Stored, UnreadableError, borrow
from databench.wire.references import DATA, Reference

linux = pytest.mark.skipif(sys.platform != "linux", reason="segments are of Linux")
pytestmark = linux


@pytest.fixture(autouse=True)
def nothing_is_left_of_others() -> None:
    """What other tests of this process have let go of is not found later, in the middle of this one."""
    gc.collect()


def in_use(pid: int | str = "self") -> int:
    """Return how many segments a process has open or mapped."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    return sum("memfd:databench-" in link for link in links) + Path(f"/proc/{pid}/maps").read_text().count("memfd:")


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool; nothing of it is left at the end."""
    before = in_use()
    pool = Pool()
    yield pool
    pool.close()
    assert in_use() == before


def stored(pool: Pool, *parts: bytes) -> Stored:
    payload = pool.store(parts)
    assert payload is not None
    return payload


def reference(payload: Stored) -> Reference:
    found = Reference.of(payload.reference)
    assert found is not None
    return found


def answer(payload: Stored, data: bytes) -> Reference:
    with borrow(reference(payload)) as borrowed:
        found = Reference.of(borrowed.answer([data]) or b"")
    assert found is not None
    return found


def test_what_is_stored_is_what_a_slot_reads_and_its_answer_comes_back(pool: Pool) -> None:
    payload = stored(pool, b"calls ", b"of a chunk")
    with borrow(reference(payload)) as borrowed:
        assert borrowed.payload[:] == b"calls of a chunk"
        target = bytearray(5)
        borrowed.payload.fill(memoryview(target), 6)
        assert target == b"of a "
        reply = Reference.of(borrowed.answer([b"res", b"", b"ults"]) or b"")
    assert reply is not None
    results = payload.answer(reply)
    assert (results[:], results[1:3], len(results)) == (b"results", b"es", 7)
    assert payload[:] == b"calls of a chunk"


def test_a_payload_is_what_it_was_when_it_was_stored(pool: Pool) -> None:
    array = bytearray(b"before")
    payload = pool.store([memoryview(array)])
    array[:] = b"after!"
    assert payload is not None
    assert payload[:] == b"before"


def test_thousands_of_parts_are_one_payload(pool: Pool) -> None:
    parts = [bytes([number % 256]) * (number % 7) for number in range(5_000)]
    assert stored(pool, *parts)[:] == b"".join(parts)


def test_a_segment_is_used_again_when_nobody_has_its_payload_any_more(pool: Pool) -> None:
    first = reference(stored(pool, b"one"))
    second = reference(stored(pool, b"two"))
    assert (first.descriptor, first.name) == (second.descriptor, second.name)
    assert len(pool) == 1
    with pytest.raises(UnreadableError, match="not there any more"):
        borrow(first)


def test_results_that_are_kept_keep_their_segment(pool: Pool) -> None:
    payload = stored(pool, b"calls")
    results = payload.answer(answer(payload, b"results"))
    del payload
    other = stored(pool, b"others")
    assert results[:] == b"results"
    assert len(pool) == 2
    del results, other
    stored(pool, b"more")
    assert len(pool) == 2


def test_a_segment_that_a_late_slot_still_reads_is_not_written_to(pool: Pool) -> None:
    payload = stored(pool, b"calls")
    with borrow(reference(payload)) as late:
        del payload
        stored(pool, b"other")
        assert late.payload[:] == b"calls"
        assert len(pool) == 2


def test_a_chunk_that_runs_twice_is_answered_once_in_its_segment(pool: Pool) -> None:
    payload = stored(pool, b"calls")
    with borrow(reference(payload)) as first:
        with borrow(reference(payload)):
            assert first.answer([b"while another reads"]) is None
        reply = answer(payload, b"results")
        assert first.answer([b"too late"]) is None
    assert payload.answer(reply)[:] == b"results"


def test_a_slot_that_is_killed_in_the_middle_leaves_the_payload_for_the_next(pool: Pool) -> None:
    payload = stored(pool, b"calls")
    code = (
        "import sys; from databench.segments import *; from databench.segments import _write;"
        "borrowed = borrow(Reference.of(bytes.fromhex(sys.argv[1])));"
        "flock(borrowed._descriptor, LOCK_EX); _write(borrowed._descriptor, [b'half an answer'], 128);"
        "print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, payload.reference.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as slot:
        assert slot.stdout is not None
        assert slot.stdout.readline() == b"locked\n"
        with pytest.raises(UnreadableError):
            borrow(reference(payload))
        slot.kill()
    with borrow(reference(payload)) as borrowed:
        assert borrowed.payload[:] == b"calls"
    assert payload.answer(answer(payload, b"results"))[:] == b"results"


def test_what_a_killed_runner_had_stored_is_gone() -> None:
    code = (
        "import sys; from databench.segments import Pool; stored = Pool().store([b'calls']);"
        "print(stored.reference.hex(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        found = Reference.of(bytes.fromhex(runner.stdout.readline().decode()))
        assert found is not None
        with borrow(found) as borrowed:
            runner.kill()
            runner.wait()
            assert borrowed.payload[:] == b"calls"
            assert borrowed.answer([b"results"]) is not None
            assert in_use() == 1
    assert in_use() == 0
    with pytest.raises(UnreadableError):
        borrow(found)


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"descriptor": 10**6}, {"name": "0" * 16}, {"mark": 1}])
def test_a_reference_to_something_else_is_refused(pool: Pool, change: dict[str, int]) -> None:
    found = reference(stored(pool, b"calls"))
    fields = {name: getattr(found, name) for name in ("pid", "descriptor", "name", "mark", "size")}
    with pytest.raises(UnreadableError):
        borrow(Reference(**(fields | change)))


def test_a_reference_to_more_than_there_is_is_refused(pool: Pool) -> None:
    payload = stored(pool, b"calls")
    found = reference(payload)
    with pytest.raises(UnreadableError):
        borrow(Reference(found.pid, found.descriptor, found.name, found.mark, 10**6))
    reply = answer(payload, b"results")
    for wrong in (
        Reference(reply.pid, reply.descriptor, reply.name, reply.mark, 10**6),
        Reference(reply.pid, reply.descriptor, reply.name, found.mark, 7),
        Reference(reply.pid, reply.descriptor + 1, reply.name, reply.mark, 7),
    ):
        with pytest.raises(RemoteProtocolError):
            payload.answer(wrong)


def test_what_is_no_segment_is_not_even_opened(tmp_path: Path) -> None:
    """To open a pipe would wait for its other end, and to open a device may do anything."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(UnreadableError, match="something else"):
        borrow(Reference(os.getpid(), descriptor, "0" * 16, 1, 1))
    os.close(descriptor)


def test_there_are_only_so_many_segments_and_bytes() -> None:
    pool = Pool(segments=3, size=100_000)
    kept = [stored(pool, bytes(1_000)) for _ in range(3)]
    assert pool.store([b"one more"]) is None
    del kept[0]
    assert pool.store([bytes(100_000)]) is None
    kept.append(stored(pool, bytes(50_000)))
    assert pool.size < 100_000
    pool.close()
    assert pool.store([b"closed"]) is None


def test_memory_that_was_not_used_lately_is_given_back(pool: Pool) -> None:
    kept = stored(pool, b"kept")
    stored(pool, bytes(10**6))
    assert in_use() == 2
    for _ in range(IDLE):
        pool.trim()
    assert in_use() == 2
    pool.trim()
    assert in_use() == 1
    assert kept[:] == b"kept"


def test_results_outlive_the_pool() -> None:
    pool = Pool()
    payload = stored(pool, b"calls")
    results = payload.answer(answer(payload, b"results"))
    del payload
    pool.close()
    assert results[:] == b"results"
    del results
    assert in_use() == 0


def test_where_there_is_no_such_memory_nothing_is_stored(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str) -> int:
        raise OSError

    monkeypatch.setattr(os, "memfd_create", refused)
    assert pool.store([b"calls"]) is None


class Chunks(RuleBasedStateMachine):
    """Chunks that are stored, run (also twice, also late), answered and forgotten in any order."""

    payloads = Bundle("payloads")
    borrowings = Bundle("borrowings")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(segments=4, size=10_000)
        self.alive: dict[int, Stored] = {}
        self.content: dict[int, bytes] = {}
        self.results: dict[int, tuple[object, bytes]] = {}
        self.open: list[Borrowed] = []
        self.number = 0

    @rule(target=payloads, size=st.integers(1, 900))
    def store(self, size: int) -> int:
        self.number += 1
        content = bytes([self.number % 256]) * size
        if (payload := self.pool.store([content])) is not None:
            self.alive[self.number], self.content[self.number] = payload, content
        return self.number

    @rule(number=consumes(payloads))
    def forget(self, number: int) -> None:
        self.alive.pop(number, None)

    @rule(target=borrowings, number=payloads)
    def run(self, number: int) -> tuple[int, Borrowed | None]:
        if number not in self.alive:
            return number, None
        try:
            borrowed = borrow(reference(self.alive[number]))
        except UnreadableError:
            return number, None
        self.open.append(borrowed)
        return number, borrowed

    @rule(borrowing=consumes(borrowings), size=st.integers(1, 900))
    def finish(self, borrowing: tuple[int, Borrowed | None], size: int) -> None:
        number, borrowed = borrowing
        if borrowed is None:
            return
        self.open.remove(borrowed)
        with borrowed:
            assert borrowed.payload[:] == self.content[number]
            data = bytes([size % 256]) * size
            reply = borrowed.answer([data])
        if reply is not None and number in self.alive:
            assert number not in self.results, "answered twice"
            found = Reference.of(reply)
            assert found is not None
            self.results[number] = self.alive[number].answer(found), data

    @rule()
    def trim(self) -> None:
        self.pool.trim()

    @invariant()
    def all_that_is_wanted_is_what_it_was(self) -> None:
        assert len(self.pool) <= 4
        for number, payload in self.alive.items():
            assert payload[:] == self.content[number]
        for results, data in self.results.values():
            assert results[:] == data  # type: ignore[index]

    def teardown(self) -> None:
        for borrowed in self.open:
            borrowed.__exit__(None, None, None)


Chunks.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_chunks_in_any_order = linux(Chunks.TestCase)


def test_a_payload_begins_behind_the_marks() -> None:
    assert segments._MARKS.size <= DATA
