"""What engines are called in settings and analyses. Makes none of them."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from databench.errors import AnalysisError, ConfigError

DASK_PORT = 8786
CHOICES = "bus (the workers), local (threads of the runner) or dask://HOST:8786 (a Dask scheduler)"

_DASK = re.compile(r"dask(?P<tls>\+tls)?://(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\])(?::(?P<port>\d{1,5}))?/?")


@dataclass(frozen=True, slots=True)
class EngineName:
    """An engine, and for Dask the address of its scheduler."""

    kind: Literal["bus", "local", "dask"]
    address: str = ""


_PLAIN = {"bus": EngineName("bus"), "local": EngineName("local")}


def parsed(name: str) -> EngineName:
    """Return the engine that is called so; raises ConfigError, which names the choices, where there is none.

    >>> parsed("dask://head").address
    'tcp://head:8786'
    """
    if (plain := _PLAIN.get(name)) is not None:
        return plain
    if match := re.fullmatch(
        r"dask(?P<tls>\+tls)?://(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\])(?::(?P<port>\d{1,5}))?/?", name
    ):
        port = int(match["port"] or DASK_PORT)
        if 0 < port <= 65_535:
            return EngineName("dask", f"{'tls' if match['tls'] else 'tcp'}://{match['host']}:{port}")
    raise ConfigError(f"there is no engine {name!r}: choose {CHOICES}")


def checked(name: str) -> EngineName:
    """Return what an author's name of an engine means; raises AnalysisError where it means none that can be had."""
    try:
        wanted = parsed(name)
        available(wanted)
    except ConfigError as error:
        raise AnalysisError(str(error)) from None
    return wanted


def available(name: EngineName) -> None:
    """Raise ConfigError where a package is missing that this engine needs."""
    if name.kind == "dask" and find_spec("distributed") is None:
        raise ConfigError("the engine Dask needs a package that is not installed: pip install 'databench[dask]'")
