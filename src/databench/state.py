"""State as its author sees it: a mapping whose changes reach every page that looks, the newest value of each key.

Owns values, their bounds and who is woken by a change. Knows no viewer and no message; `wire.state` counts versions.
"""

import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Literal

from databench.errors import AnalysisError
from databench.wire import codec
from databench.wire.messages import NAME_LIMIT
from databench.wire.state import Changes, StateTable

KEYS = 1_000
"""Keys that a state may have."""
SIZE = 64 * 2**20
"""Bytes that all its values may have together, as they travel."""

Scope = Literal["state", "shared", "handling", "progress"]


class State(MutableMapping[str, Any]):
    """Keys and values of a session (`session.state`) or of all sessions of an analysis (`analysis.state`).

    Works as a dict, from any thread. What is set is told to all pages that look at it: the newest value, where several
    came before a page could take them; a page that attaches gets all of it. Values are what signals may carry, and are
    replaced whole: changing a list that was set tells nobody, so set it again.
    Raises AnalysisError for a key that is no string, empty or longer than 193 characters, and when the state is full,
    PayloadError (a TypeError) for a value that cannot be sent.

    >>> state = State("state")
    >>> state["pi"] = 3.0
    >>> state.update(draws=100, pi=3.1)
    >>> dict(state)
    {'pi': 3.1, 'draws': 100}
    """

    def __init__(self, scope: Scope, *, max_payload: int = codec.MAX_PAYLOAD) -> None:
        self._prefix = f"{scope}:"
        self._key_limit = NAME_LIMIT - len(self._prefix) if scope in ("state", "shared") else NAME_LIMIT
        self._max_payload = max_payload
        self._table = StateTable()
        self._values: dict[str, Any] = {}
        self._watching: dict[Callable[[], None], None] = {}
        self._lock = threading.Lock()
        self.check: Callable[[], bool] = _always
        """Called before a change: raises where its caller is to stop, returns whether anybody is to be told."""

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_key(key)
        self._put(key, value, codec.pack(value, limit=self._max_payload))

    def __delitem__(self, key: str) -> None:
        if not self.check():
            return
        with self._lock:
            del self._values[key]
            self._table.remove(self._prefix + key)
        self._tell()

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{self._prefix}{dict(self)!r}>"

    # For the session

    @property
    def version(self) -> int:
        """Counts changes."""
        return self._table.version

    def changes(self, since: int) -> Changes:
        """Return what changed after a version; everything for 0."""
        with self._lock:
            return self._table.changes(since)

    def take_over(self, key: str, data: bytes) -> None:
        """Set a key to the value that a page sent.

        Raises RemoteProtocolError where it does not decode, and what setting it raises.
        """
        self._check_key(key)
        self._put(key, codec.unpack(data), data)

    def tell_again(self, key: str) -> None:
        """Tell all pages what counts for a key, also where it has not changed: one of them asked for something else."""
        name = self._prefix + key
        with self._lock:
            value = self._table.get(name)
            if value is None:
                # So that its removal is told.
                self._table.put(name, b"\xc0")
                self._table.remove(name)
            else:
                self._table.put(name, value)
        self._tell()

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each change, by the thread that made it."""
        with self._lock:
            self._watching[changed] = None

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Have it called no more."""
        with self._lock:
            self._watching.pop(changed, None)

    def _put(self, key: str, value: Any, data: bytes) -> None:
        if not self.check():
            return
        name = self._prefix + key
        with self._lock:
            before = self._table.get(name)
            if before is None and len(self._values) >= KEYS:
                raise AnalysisError(f"{name!r} was not set: the state has {KEYS:,} keys, and no room for more")
            if self._table.size - len(before or b"") + len(data) > SIZE:
                raise AnalysisError(f"{name!r} was not set: the state would have more than {SIZE // 2**20} MiB")
            self._values[key] = value
            self._table.put(name, data)
        self._tell()

    def _check_key(self, key: object) -> None:
        if not isinstance(key, str) or not 0 < len(key) <= self._key_limit:
            raise AnalysisError(f"a key of the state is a string of 1 to {self._key_limit} characters, not {key!r}")

    def _tell(self) -> None:
        for changed in list(self._watching):
            changed()


def _always() -> bool:
    return True
