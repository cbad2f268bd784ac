"""Whether the gateway is ready, asked of one that a test makes up. The rest is asked of real services, in tests/e2e."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from databench import health
from databench.config import Settings
from databench.errors import BusError


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that says this to everybody; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"missing":["runner"]}', "the gateway is not ready: .*runner"),
        (b"", "no gateway answers on port"),
        (b"\r\n\r\n", "no gateway answers on port"),
        (bytes(2**20), "no gateway answers on port"),
    ],
)
async def test_a_gateway_that_does_not_say_that_it_is_ready_is_not(answer: bytes, message: str) -> None:
    async with answering(answer) as port:
        with pytest.raises(BusError, match=message):
            await health.check("gateway", Settings(port=port))


async def test_a_gateway_that_says_that_it_is_ready_is() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n{}") as port:
        await health.check("gateway", Settings(port=port))


def test_a_check_without_options_imports_no_command_line() -> None:
    code = "import sys; from databench import command; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {"databench.cli", "typer", "urllib.request", "http.client"} & set(run.stdout.split()) == set()
