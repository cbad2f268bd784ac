"""The topics of the signal plane. They end with a slash because ZeroMQ matches prefixes."""

PRESENCE = b"p/"
"""Every service says here that it is present, or leaving."""

WHO = b"w/"
"""Every service listens here, and answers with its presence."""


def of_runner(name: str) -> bytes:
    """The topic on which a runner hears from the gateways."""
    return f"r/{name}/".encode()


def of_gateway(name: str) -> bytes:
    """The topic on which a gateway hears from the runners."""
    return f"g/{name}/".encode()
