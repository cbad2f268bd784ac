"""Sessions as a runner hosts them: tokens, pages, several viewers, grace, broadcasts."""

import asyncio
from pathlib import Path

import pytest

from databench.config import Settings
from databench.wire import catalog
from databench.wire.messages import Ack, Attach, Closed, Opened
from databench_runner import hosting
from databench_runner.runner import Runner
from tests.runner.conftest import Bus, Host, running


async def test_a_page_that_attaches_again_resumes_and_takes_the_place_of_its_dead_connection(host: Host) -> None:
    token = host.open("v1").token
    host.emit("v1", 1, "echo", "a")
    await host.bus.until("v1", "echo")
    again = host.open("v2", token=token, seen=1)
    assert (again.token, again.resumed, again.received) == (token, True, 1)
    assert host.bus.closed == {"v1": (1000, "the page has attached again")}
    host.emit("v2", 2, "echo", "b")
    assert await host.bus.until("v2", "echo") == ["b"]


async def test_another_page_with_the_token_sees_and_steers_the_same_session(host: Host) -> None:
    token = host.open("v1").token
    host.emit("v1", 1, "echo", "a")
    shared = host.open("v2", token=token, page="other", gateway="g2")
    assert (shared.resumed, shared.received) == (True, 0)
    host.emit("v2", 1, "echo", "b")
    for viewer in ("v1", "v2"):
        assert await host.bus.until(viewer, "echo", 2) == ["a", "b"]
    assert host.bus.closed == {}


@pytest.mark.parametrize("token", ["unknown", "", "é", "x" * 100_000])
async def test_a_token_that_is_unknown_is_answered_with_a_new_session(host: Host, token: str) -> None:
    first = host.open("v1")
    assert not first.resumed
    second = host.open("v2", token=token, page="other", seen=99, heard=99)
    assert not second.resumed
    assert second.token not in (first.token, token)


async def test_a_token_with_the_right_mark_and_a_wrong_secret_is_unknown(host: Host) -> None:
    mark, _, secret = host.open("v1").token.partition(".")
    assert len(secret) >= 32
    assert not host.open("v2", token=f"{mark}.{'A' * len(secret)}", page="other").resumed


async def test_a_token_of_another_analysis_is_unknown(host: Host) -> None:
    token = host.open("v1").token
    assert not host.open("v2", token=token, page="other", analysis="runner-brief").resumed


async def test_a_session_is_over_when_its_page_says_that_it_is_done(host: Host) -> None:
    token = host.open("v1").token
    host.close("v1", done=True)
    assert not host.open("v2", token=token).resumed
    host.emit("v2", 1, "ended")
    assert await host.bus.until("v2", "ended") == [1]


async def test_a_page_that_is_done_leaves_the_session_to_others_that_look(host: Host) -> None:
    token = host.open("v1").token
    host.open("v2", token=token, page="other")
    host.close("v1", done=True)
    host.emit("v2", 1, "echo", "still there")
    assert await host.bus.until("v2", "echo") == ["still there"]


async def test_a_page_that_was_left_finds_its_session_again(host: Host) -> None:
    token = host.open("v1").token
    host.close("v1", done=False)
    assert host.open("v2", token=token, page="loaded again").resumed


async def test_after_its_grace_a_session_is_over_and_what_it_did_is_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path, grace=0) as host:
        token = host.open("v1").token
        host.emit("v1", 1, "wait")
        await asyncio.sleep(0)
        host.close("v1", done=False)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not host.open("v2", token=token).resumed
        host.emit("v2", 1, "ended")
        # The handler that was cancelled, and the one of `disconnect`.
        assert await host.bus.until("v2", "ended") == [2]


async def test_the_grace_of_an_analysis_counts_before_the_setting(host: Host) -> None:
    token = host.open("v1", analysis="runner-brief").token
    host.close("v1", done=False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not host.open("v2", token=token, analysis="runner-brief").resumed


async def test_who_comes_back_within_the_grace_calls_it_off(tmp_path: Path) -> None:
    async with running(tmp_path, grace=0.05) as host:
        token = host.open("v1").token
        host.close("v1", done=False)
        assert host.open("v2", token=token).resumed
        await asyncio.sleep(0.1)
        host.emit("v2", 1, "echo", "alive")
        assert await host.bus.until("v2", "echo") == ["alive"]


async def test_a_broadcast_is_published_once_for_each_gateway_that_has_viewers(host: Host) -> None:
    host.open("v1", page="1", gateway="g1")
    host.open("v2", page="2", gateway="g1")
    host.open("v3", page="3", gateway="g2")
    host.open("v4", page="4", gateway="g3", analysis="runner-brief")
    host.emit("v1", 1, "shout", "hear")
    await asyncio.sleep(0.01)
    assert sorted(topic for topic, _, _ in host.bus.fanned) == [b"g/g1/", b"g/g2/"]
    assert {analysis for _, analysis, _ in host.bus.fanned} == {"runner-echo"}


async def test_who_comes_back_gets_the_broadcasts_it_missed_and_a_new_session_none(host: Host) -> None:
    attached = host.open("v1")
    assert attached.heard == 0
    for seq in range(1, 4):
        host.emit("v1", seq, "shout", seq)
        await asyncio.sleep(0.01)
    assert host.open("new", page="new").heard == 3
    assert host.open("v2", token=attached.token, heard=1).heard == 1
    assert host.heard("v2") == [2, 3]
    assert host.open("v3", token=attached.token, page="loaded again").heard == 0
    assert host.heard("v3") == [1, 2, 3]


@pytest.mark.parametrize(("seen", "heard"), [(5, 0), (0, 5)])
async def test_a_number_that_was_never_sent_closes_the_connection(host: Host, seen: int, heard: int) -> None:
    token = host.open("v1").token
    host.say(Opened("g", "v2", "runner-echo"), Attach(token, "other", seen, heard))
    code, reason = host.bus.closed["v2"]
    assert code == 4000
    assert "was never sent" in reason


async def test_the_offer_tells_of_which_analyses_there_are_sessions_and_changes_are_told_at_once(host: Host) -> None:
    def held() -> frozenset[str]:
        return catalog.from_bytes(host.runner.detail()).held

    assert held() == frozenset()
    attached = host.open("v1")
    assert held() == {"runner-echo"}
    assert host.bus.asked == 1
    host.open("v2", page="other")
    assert host.bus.asked == 1
    assert attached.token.startswith(catalog.from_bytes(host.runner.detail()).mark + ".")
    host.close("v1", done=True)
    host.close("v2", done=True)
    assert held() == frozenset()
    assert host.bus.asked == 2


async def test_a_runner_that_is_full_says_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "SESSIONS", 1)
    token = host.open("v1").token
    host.say(Opened("g", "v2", "runner-echo"), Attach(None, "other", 0, 0))
    assert host.bus.closed == {"v2": (1013, "this server has all the sessions that it can hold")}
    assert host.open("v3", token=token, page="shared").resumed


async def test_sessions_that_ended_leave_nothing_behind(host: Host) -> None:
    for number in range(100):
        host.open(f"v{number}", page=f"page {number}")
        host.relay(f"v{number}", Ack(0, 1))
        host.say(Closed("g", f"v{number}", True))
    assert host.runner._viewers == {}
    assert host.runner._hosting.all() == []
    assert len(host.runner._loaded.analyses["runner-echo"].state._watching) == 0


async def test_a_page_that_comes_before_its_runner_has_started_is_asked_to_come_again(tmp_path: Path) -> None:
    runner, bus = Runner(Settings(analyses=tmp_path, name="r")), Bus()
    host = Host(runner, bus)
    for viewer in ("early", "gone"):
        host.say(Opened("g", viewer, "runner-echo"), Attach(None, "page", 0, 0))
    host.relay("known to an earlier one", Ack(1, 0))
    host.close("gone", done=False)
    runner.bus_up()
    assert bus.closed == {}
    await runner.start(bus)
    again = (1012, "the runner has just started")
    assert bus.closed == {"early": again, "known to an earlier one": again}
    await runner.stop()


async def test_what_an_async_handler_emits_in_its_first_step_leaves_in_the_turn_after_its_signal_came(
    host: Host,
) -> None:
    host.open("v")
    host.emit("v", 1, "echo", 7)
    await asyncio.sleep(0)
    assert host.bus.signals("v") == [("echo", 7)]
