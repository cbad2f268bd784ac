"""The threads of plain handlers: used again, never more than are needed, and gone with their pool."""

import threading
import weakref
from functools import partial
from queue import SimpleQueue

import pytest

from databench import threadpool
from databench.threadpool import Threads
from tests.e2e.server import eventually


class Held:
    """A function that ends when it may."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.done: SimpleQueue[str] = SimpleQueue()

    def __call__(self) -> None:
        self.go_on.wait(20)
        self.done.put("done")


def alive() -> int:
    return sum(thread.name == "databench-handler" for thread in threading.enumerate())


def test_a_thread_that_is_free_gets_the_next_function_also_when_others_end_meanwhile() -> None:
    threads, done = Threads(), SimpleQueue[int]()
    for _ in range(50):
        for _ in range(20):
            threads.start(lambda: done.put(threading.get_ident()))
        for _ in range(20):
            done.get()
    assert threads._free.count <= 20


def test_functions_run_at_the_same_time_and_one_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    threads, together, done = Threads(), threading.Barrier(3, timeout=20), SimpleQueue[int]()

    def fail() -> None:
        together.wait()
        raise ZeroDivisionError

    def work(number: int) -> None:
        together.wait()
        done.put(number)

    threads.start(fail)
    for number in (1, 2):
        threads.start(partial(work, number))
    assert {done.get(), done.get()} == {1, 2}
    eventually(lambda: "ZeroDivisionError" in caplog.text)
    threads.start(lambda: done.put(3))
    assert done.get() == 3


def test_beyond_the_bound_it_is_said_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threadpool, "_MOST", 1)
    threads, held = Threads(), Held()
    threads.start(held)
    with pytest.raises(RuntimeError, match="there are 1 threads already"):
        threads.start(held)
    held.go_on.set()
    assert held.done.get() == "done"
    assert held.done.empty()


def test_threads_end_with_their_pool() -> None:
    before, held, done = alive(), Held(), SimpleQueue[int]()
    threads = Threads()
    threads.start(lambda: done.put(1))
    threads.start(held)
    done.get()
    del threads
    held.go_on.set()
    assert held.done.get() == "done"
    eventually(lambda: alive() <= before)


def test_a_thread_that_waits_keeps_nothing_of_what_it_did() -> None:
    threads = Threads()
    for _ in range(2):
        held = Held()
        held.go_on.set()
        gone = weakref.ref(held)
        threads.start(held)
        assert held.done.get() == "done"
        del held
        eventually(lambda gone=gone: gone() is None)  # type: ignore[misc]
