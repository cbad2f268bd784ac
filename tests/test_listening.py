"""The listening socket of a gateway."""

import socket

import pytest

from databench.errors import ConfigError
from databench.listening import listen


def test_small_frames_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        with socket.create_connection(address), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_an_address_that_cannot_be_had_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use: choose another with --port"):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"port 80 on 203\.0\.113\.1 cannot be used"):
        listen("203.0.113.1", 80)
