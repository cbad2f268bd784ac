"""The engines of a process by name: made when one is first asked for, shared, and closed together."""

import os
import threading
from typing import Protocol

from databench.engines.contract import Engine
from databench.engines.local import LocalEngine
from databench.engines.names import EngineName, available, checked, parsed
from databench.errors import AnalysisError


class _Closable(Engine, Protocol):
    def close(self) -> None: ...


class Engines:
    """Gives engines by name: `engines("local")`; without a name the one of the settings.

    `bus` is the engine on the bus, which belongs to whoever made it. May be called from any thread.
    Raises AnalysisError for a name that there is not, and for Dask where it is not installed.

    >>> engines = Engines("local")
    >>> engines() is engines("local")
    True
    >>> engines.close()
    """

    def __init__(self, default: str = "bus", bus: Engine | None = None, slots: int = 0) -> None:
        self._default = default
        self._bus = bus
        self._slots = slots
        self._made: dict[EngineName, _Closable] = {}
        self._closed = False
        self._lock = threading.Lock()
        available(parsed(default))

    def __call__(self, name: str | None = None) -> Engine:
        wanted = checked(name or self._default)
        if wanted.kind == "bus":
            if self._bus is None:
                raise AnalysisError("the engine 'bus' cannot be had here: this process is on no bus")
            return self._bus
        with self._lock:
            if self._closed:
                raise AnalysisError("the engines are closed: the process stops")
            if wanted not in self._made:
                self._made[wanted] = self._make(wanted)
            return self._made[wanted]

    def close(self) -> None:
        """End all engines that were made here; takes some seconds where chunks run that cannot be ended."""
        with self._lock:
            self._closed = True
            made = list(self._made.values())
        for engine in made:
            engine.close()

    def _make(self, wanted: EngineName) -> _Closable:
        if wanted.kind == "dask":
            from databench.engines.dask import DaskEngine  # needs a package that few have

            return DaskEngine(wanted.address)
        return LocalEngine(self._slots or os.cpu_count())
