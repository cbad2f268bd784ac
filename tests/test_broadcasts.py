"""Broadcasts as authors make them: from any thread, encoded once, bounded."""

import asyncio
from collections.abc import Iterator

import pytest

import databench
from databench.errors import AnalysisError, PayloadError
from databench.wire import codec
from databench.wire.broadcasts import BOUNDS
from databench.wire.messages import Broadcasts
from tests import runs
from tests.author import declared


@pytest.fixture
def pi() -> Iterator[databench.Analysis]:
    with declared("broadcasting") as analysis:
        yield analysis


def decoded(frames: list[bytes]) -> list[Broadcasts]:
    messages = [message for frame in frames for message in runs.decoded(frame)]
    assert all(isinstance(message, Broadcasts) for message in messages)
    return [message for message in messages if isinstance(message, Broadcasts)]


def test_where_no_page_could_hear_it_a_broadcast_is_an_error(pi: databench.Analysis) -> None:
    with pytest.raises(AnalysisError, match=r"broadcast\('news'\) reaches nobody here: only the runner"):
        pi.broadcast("news")


async def test_what_one_turn_broadcasts_is_published_together(pi: databench.Analysis) -> None:
    frames: list[bytes] = []
    pi.broadcasts.open(frames.append)
    pi.broadcast("news", {"n": 1})
    pi.broadcast("news", {"n": 2})
    assert frames == []
    await asyncio.sleep(0)
    assert len(frames) == 1
    assert decoded(frames) == [Broadcasts(number, "news", [codec.pack({"n": number})]) for number in (1, 2)]
    assert pi.broadcasts.catch_up(1) == [codec.encode(Broadcasts(2, "news", [codec.pack({"n": 2})]))]


@pytest.mark.parametrize("name", ["", "n" * 201, 7])
async def test_a_name_that_is_none_is_refused(pi: databench.Analysis, name: str) -> None:
    pi.broadcasts.open(lambda _: None)
    with pytest.raises(AnalysisError, match="a signal's name is a string of 1 to 200 characters"):
        pi.broadcast(name)


async def test_what_cannot_be_sent_is_refused(pi: databench.Analysis) -> None:
    pi.broadcasts.open(lambda _: None, max_payload=100)
    with pytest.raises(PayloadError, match="object"):
        pi.broadcast("news", object())
    with pytest.raises(PayloadError, match="more than the limit of 100"):
        pi.broadcast("news", bytes(200))


async def test_threads_wait_while_too_much_is_to_be_published_and_nothing_is_lost(pi: databench.Analysis) -> None:
    frames: list[bytes] = []
    pi.broadcasts.open(frames.append)
    count = 2 * BOUNDS.kept

    def shout() -> None:
        for number in range(count):
            pi.broadcast("n", number)

    await asyncio.to_thread(shout)
    await asyncio.sleep(0.01)
    assert [message.number for message in decoded(frames)] == list(range(1, count + 1))


async def test_who_waits_goes_on_when_the_runner_stops(pi: databench.Analysis) -> None:
    pi.broadcasts.open(lambda _: None)
    shouting = asyncio.ensure_future(asyncio.to_thread(flood, pi))
    await asyncio.sleep(0)
    pi.broadcasts.close()
    with pytest.raises(AnalysisError, match="reaches nobody here"):
        await shouting


def flood(pi: databench.Analysis) -> None:
    while True:
        pi.broadcast("n", bytes(10_000))


def test_a_grace_is_a_number_of_seconds() -> None:
    with pytest.raises(AnalysisError, match="the grace of 'graced' is a number of seconds from 0 on, not -1"):
        databench.Analysis("graced", __name__, grace=-1)
