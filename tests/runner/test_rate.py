"""The runner answers a browser that sends too many signals, and goes on."""

from pathlib import Path

import pytest

from databench.wire import codec
from databench.wire.messages import HELD, Signal
from tests.runner.conftest import running


@pytest.mark.parametrize(("rate", "sent", "passing"), [(0.001, HELD + 20, HELD), (0.0, 50, 50)])
async def test_signals_beyond_the_rate_are_answered_once_and_the_connection_stays(
    tmp_path: Path, rate: float, sent: int, passing: int
) -> None:
    async with running(tmp_path, rate) as host:
        host.open("v")
        host.relay("v", *(Signal(seq, "echo", codec.pack(seq)) for seq in range(1, sent + 1)))
        assert await host.bus.until("v", "echo", passing) == list(range(1, passing + 1))
        warnings = [payload for name, payload in host.bus.signals("v") if name == "warn"]
        message = f"busy: more than {rate:g} signals a second, {sent - passing} were refused"
        assert warnings == [{"signal": "echo", "message": message}][: sent - passing]
        assert host.bus.closed == {}
