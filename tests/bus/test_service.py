"""How a service lives: in this process over the bus in memory, and as a process of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from databench.bus import service
from databench.bus.contract import Bus
from databench.bus.memory import MemoryBroker
from databench.bus.service import Stop
from databench.errors import BusError
from databench.wire import codec, topics
from databench.wire.messages import SIGNAL_PLANE, Leaving, Message, Present, Who
from databench_broker.broker import Broker
from tests.bus.recorder import Recorder


@pytest.fixture(autouse=True)
def announced_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service of this process says by the clock that it is present."""
    monkeypatch.setattr(service, "PRESENCE_INTERVAL", 3600.0)


class Noting(Recorder):
    """A service that notes what happens to it."""

    kind = "runner"
    name = "r"
    topics: Sequence[bytes] = (b"r/r/",)

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.started = asyncio.Event()

    async def start(self, bus: Bus) -> None:
        self.bus = bus
        self.steps.append(f"start {bus.up}")
        self.started.set()

    async def stop(self) -> None:
        self.steps.append("stop")

    def detail(self) -> bytes:
        return b"detail"


class Watcher(Recorder):
    """Somebody else on the bus, who sees who is present."""

    def present(self) -> list[Message]:
        return [codec.decode_one(frames[0], SIGNAL_PLANE) for topic, frames in self.signals if topic == topics.PRESENCE]


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
async def watcher(broker: MemoryBroker) -> AsyncIterator[tuple[Watcher, Bus]]:
    watcher = Watcher()
    bus = broker.connect("watcher", [topics.PRESENCE], watcher)
    yield watcher, bus
    await bus.close()


async def test_it_starts_is_present_answers_and_leaves(
    broker: MemoryBroker, noting: Noting, watcher: tuple[Watcher, Bus]
) -> None:
    seen, bus = watcher
    stop = Stop()
    running = asyncio.ensure_future(service.run(noting, broker.connect, stop))
    await seen.until(lambda: len(seen.present()) == 1)
    [present] = seen.present()
    assert isinstance(present, Present)
    assert (present.kind, present.name, present.detail) == ("runner", "r", b"detail")
    bus.publish(topics.WHO, codec.encode(Who()))
    await seen.until(lambda: len(seen.present()) == 2)
    stop.wish()
    await running
    assert seen.present() == [present, present, Leaving("runner", "r", present.life)]
    assert noting.steps == ["start True", "stop"]


async def test_what_is_for_the_service_reaches_it_and_the_rest_does_not(
    broker: MemoryBroker, noting: Noting, watcher: tuple[Watcher, Bus]
) -> None:
    seen, bus = watcher
    stop = Stop()
    running = asyncio.ensure_future(service.run(noting, broker.connect, stop))
    await seen.until(lambda: len(seen.present()) == 1)
    for frames in ([], [b"\xc1"], [codec.encode(Leaving("a", "b", "c"))]):
        bus.publish(topics.WHO, *frames)
    bus.publish(b"r/other/", b"not mine")
    bus.publish(b"r/r/", b"mine")
    await noting.until(lambda: bool(noting.signals))
    assert noting.signals == [(b"r/r/", [b"mine"])]
    stop.wish()
    await running


async def test_when_the_bus_is_back_it_is_present_again_at_once(
    broker: MemoryBroker, noting: Noting, watcher: tuple[Watcher, Bus], caplog: pytest.LogCaptureFixture
) -> None:
    seen, _ = watcher
    stop = Stop()
    running = asyncio.ensure_future(service.run(noting, broker.connect, stop))
    await seen.until(lambda: len(seen.present()) == 1)
    broker.fail()
    await noting.until(lambda: noting.changes[-1:] == ["down"])
    assert "lost the broker; waiting for it" in caplog.text
    broker.recover()
    await seen.until(lambda: len(seen.present()) == 2)
    assert noting.changes == ["up", "down", "up"]
    stop.wish()
    await running


async def test_a_service_that_is_told_to_stop_before_there_is_a_broker_stops(
    broker: MemoryBroker, noting: Noting
) -> None:
    broker.fail()
    stop = Stop()
    running = asyncio.ensure_future(service.run(noting, broker.connect, stop))
    await asyncio.sleep(0)
    stop.wish()
    await running
    assert noting.steps == ["stop"]


async def test_a_start_that_fails_is_stopped_and_raises(broker: MemoryBroker) -> None:
    class Failing(Noting):
        async def start(self, bus: Bus) -> None:
            raise BusError("no")

    failing = Failing()
    with pytest.raises(BusError, match="no"):
        await service.run(failing, broker.connect, Stop())
    assert failing.steps == ["stop"]


async def test_a_start_that_takes_long_is_cancelled_by_a_stop(broker: MemoryBroker) -> None:
    class Slow(Noting):
        async def start(self, bus: Bus) -> None:
            self.steps.append("start")
            stop.wish()
            await asyncio.Event().wait()

    stop = Stop()
    slow = Slow()
    await service.run(slow, broker.connect, stop)
    assert slow.steps == ["start", "stop"]


async def test_a_stop_that_takes_too_long_is_ended(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Noting):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(service, "STOP_DEADLINE", 0.01)
    stop = Stop()
    stop.wish()
    await service.run(Stubborn(), broker.connect, stop)
    assert "did not stop within 0.01 s" in caplog.text


async def test_a_stop_that_raises_leaves_the_bus_all_the_same(broker: MemoryBroker) -> None:
    class Raising(Noting):
        async def stop(self) -> None:
            raise ZeroDivisionError

    raising = Raising()
    stop = Stop()
    running = asyncio.ensure_future(service.run(raising, broker.connect, stop))
    await raising.started.wait()
    stop.wish()
    with pytest.raises(ZeroDivisionError):
        await running
    assert not raising.bus.up


async def test_who_waits_for_a_broker_says_so_and_starts_when_it_comes(
    broker: MemoryBroker, noting: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE", 0.01)
    broker.fail()
    stop = Stop()
    said = asyncio.Event()
    monkeypatch.setattr(service.log, "warning", lambda *_: said.set())
    running = asyncio.ensure_future(service.run(noting, broker.connect, stop))
    await said.wait()
    broker.recover()
    await noting.started.wait()
    stop.wish()
    await running
    assert noting.steps == ["start True", "stop"]


PROCESS = """
import asyncio, logging, sys, time
from databench import logs
from databench.bus import service
from databench.errors import ConfigError

class Stub:
    kind, name, topics = "stub", "s", (b"x/",)
    async def start(self, bus):
        print("started", flush=True)
        BODY
    async def stop(self):
        print("stopped", flush=True)
    def detail(self): return b""
    def signalled(self, topic, frames): ...
    def dispatched(self, envelope, payload): ...
    def bus_up(self): ...
    def bus_down(self): ...

def make():
    MAKE
    return Stub()

service.PATIENCE = 0.1
logs.configure("info", "stub")
service.main(service.serve(make, sys.argv[1]))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process with a small service in it."""
    processes: list[subprocess.Popen[str]] = []

    def start(
        body: str = "pass", make: str = "pass", env: dict[str, str] | None = None, pass_fds: Sequence[int] = ()
    ) -> "subprocess.Popen[str]":
        script = tmp_path / "process.py"
        script.write_text(textwrap.dedent(PROCESS).replace("BODY", body).replace("MAKE", make))
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(script), f"ipc://{tmp_path}/bus"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            pass_fds=pass_fds,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
async def real_broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(f"ipc://{tmp_path}/bus", "b")
    yield broker
    broker.close()


async def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("real_broker")
async def test_a_signal_ends_the_process_in_order(start: Start, number: signal.Signals) -> None:
    process = start()
    assert await line(process) == "started"
    process.send_signal(number)
    code, out, err = await ended(process)
    assert (code, out) == (0, "stopped\n")
    assert "Traceback" not in err
    assert "stopped" in err


@pytest.mark.usefixtures("real_broker")
async def test_a_thread_that_computes_keeps_no_process_alive(start: Start) -> None:
    process = start("asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)")
    assert await line(process) == "started"
    process.terminate()
    assert (await ended(process))[0] == 0


@pytest.mark.usefixtures("real_broker")
async def test_the_end_of_the_supervising_process_ends_it_too(start: Start) -> None:
    reading, writing = os.pipe()
    process = start(env={**os.environ, "DATABENCH_LIFELINE": str(reading)}, pass_fds=[reading])
    os.close(reading)
    assert await line(process) == "started"
    os.close(writing)
    code, _, err = await ended(process)
    assert code == 0
    assert "Traceback" not in err


async def test_without_a_broker_it_says_that_it_waits_and_starts_when_one_comes(start: Start, tmp_path: Path) -> None:
    process = start()
    assert process.stderr is not None
    said = await asyncio.to_thread(process.stderr.readline)
    assert said.endswith("the broker is not there yet; waiting for it\n")
    broker = Broker(f"ipc://{tmp_path}/bus", "b")
    assert await line(process) == "started"
    process.terminate()
    assert (await ended(process))[0] == 0
    broker.close()


async def test_without_a_broker_it_ends_when_it_is_told_to(start: Start) -> None:
    process = start()
    assert process.stderr is not None
    await asyncio.to_thread(process.stderr.readline)
    process.terminate()
    code, _, err = await ended(process)
    assert code == 0
    assert "Traceback" not in err


async def test_settings_that_cannot_be_used_end_it_with_code_2_and_one_line(start: Start) -> None:
    code, _, err = await ended(start(make="raise ConfigError('choose another port')"))
    assert code == 2
    assert err.endswith("choose another port\n")
    assert "Traceback" not in err


@pytest.mark.usefixtures("real_broker")
async def test_a_service_that_fails_ends_with_code_1_and_a_traceback(start: Start) -> None:
    code, _, err = await ended(start("raise ZeroDivisionError"))
    assert code == 1
    assert "Traceback" in err
    assert "ZeroDivisionError" in err


@pytest.mark.usefixtures("real_broker")
async def test_an_error_of_ours_ends_it_with_code_1_and_one_line(start: Start) -> None:
    code, _, err = await ended(start("from databench.errors import BusError; raise BusError('refused')"))
    assert code == 1
    assert "refused" in err
    assert "Traceback" not in err
