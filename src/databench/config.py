"""All settings of all services in one frozen object, read once from the command line and the environment."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from databench import cores
from databench.bus.address import DEFAULT, addresses
from databench.engines.names import parsed
from databench.errors import ConfigError
from databench.wire.codec import MAX_PAYLOAD

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set; the environment variable of `bus` is `DATABENCH_BUS`, and so on."""

    analyses: Path = Path("analyses")
    """Folder with the analyses."""
    bus: str = DEFAULT
    """Where the broker is: one address is enough to join."""
    name: str = ""
    """Name of this service, unique on the bus; made from the host's name when empty."""
    host: str = "127.0.0.1"
    """Address on which the gateway listens."""
    port: int = 5000
    """Port on which the gateway listens; 0 picks a free one."""
    root_path: str = ""
    """Path below which a proxy offers the gateway."""
    origins: str = ""
    """Other sites whose pages may connect, as `https://HOST[:PORT]` separated by commas; `*` for all."""
    engine: str = "bus"
    """What runs the chunks of jobs: bus, local or dask://HOST:8786."""
    slots: int = 0
    """Slots of a worker; the cores that it may use when 0."""
    memory: int = 0
    """Bytes that a slot may use, also as `512M`; 0 for no limit."""
    renew_after: int = 0
    """Chunks after which a slot is replaced; 0 for never."""
    development: bool = False
    """Tracebacks in pages, and pages that reload when their source changes."""
    log: str = "info"
    """Least level that is logged."""
    grace: float = 300.0
    """Seconds for which a session outlives its last viewer."""
    max_frame: int = 16 * 2**20
    """Largest frame that a browser may send, in bytes."""
    max_payload: int = MAX_PAYLOAD
    """Largest payload that an analysis may emit, in bytes."""
    rate: float = 1000.0
    """Signals that the pages of a session may send in a second, twice as many at once or more; 0 for no limit."""

    def __post_init__(self) -> None:
        addresses(self.bus)
        parsed(self.engine)
        if self.log not in LOG_LEVELS:
            raise ConfigError(f"log level {self.log!r} is not known: choose one of {', '.join(LOG_LEVELS)}")
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"{self.port} is no port: choose one from 0 to 65535")
        for name in ("slots", "memory", "renew_after", "grace", "max_frame", "max_payload", "rate"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} cannot be negative, it is {getattr(self, name)}")

    def service_name(self, kind: str) -> str:
        """Return the name of a service of this kind; without `name` one of this host and process."""
        return self.name or re.sub(r"[^A-Za-z0-9_.-]", "-", f"{kind}-{socket.gethostname()}-{os.getpid()}")

    def slot_count(self) -> int:
        """Return the number of slots of a worker here."""
        return self.slots or cores.usable()

    def environment(self) -> dict[str, str]:
        """Return the environment variables from which `from_environment` reads the same settings."""
        return {variable(field.name): _text(getattr(self, field.name)) for field in fields(self)}


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"DATABENCH_{name.upper()}"


def from_environment(environ: Mapping[str, str], **given: Any) -> Settings:
    """Return the settings of this process: what is given and not None, else the environment, else the default.

    `PORT`, which hosting platforms set, counts where `DATABENCH_PORT` is not set. Raises ConfigError for a value
    that cannot be used, naming the variable.
    """
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    for field in fields(Settings):
        if given.get(field.name) is not None:
            continue
        names = (variable(field.name), "PORT") if field.name == "port" else (variable(field.name),)
        name = next((name for name in names if environ.get(name)), None)
        if name is not None:
            value = _value(name, environ[name], getattr(settings, field.name))
            try:
                settings = replace(settings, **{field.name: value})
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None
    return settings


def size(text: str) -> int:
    """Return a number of bytes: `1000`, `512M`, `1.5GiB`. K, M, G and T are powers of 1024. Raises ValueError.

    >>> size("512M")
    536870912
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(text)
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _value(name: str, text: str, default: object) -> Any:
    try:
        if name == variable("memory"):
            return size(text)
        match default:
            case bool():
                return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
            case int() | float() | Path():
                return type(default)(text) if not isinstance(default, Path) else Path(text)
        return text
    except (ValueError, KeyError):
        kind = "number of bytes, such as 512M" if name == variable("memory") else type(default).__name__
        raise ConfigError(f"{name} cannot be {text!r}: it is a {kind}") from None
