"""The listening socket of a gateway, and what to say when it cannot be had."""

import errno
import socket

from databench.errors import ConfigError


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises ConfigError when the address is in use or cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), backlog=1024, family=family)
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise ConfigError(
            f"port {port} on {host} {what}: choose another with --port, for example --port {port + 1}"
        ) from None
    # Accepted sockets inherit it. asyncio sets it only on sockets that were made for TCP by name; without it a
    # second small frame waits for the browser's delayed acknowledgement of the first, about 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
