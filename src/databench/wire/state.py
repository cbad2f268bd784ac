"""Names and the newest value of each, so that anyone can be told what has changed since it last asked.

Pure, and knows neither who asks nor what a value is.
"""

from dataclasses import dataclass

FORGET = 1_000
"""Removed names that are remembered; who asks from before the oldest gets the whole."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed up to a version; `whole` says that nothing but `values` exists."""

    version: int
    whole: bool
    values: dict[str, bytes]
    removed: list[str]


class StateTable:
    """Names with their encoded values, in the order in which they last changed.

    >>> table = StateTable()
    >>> table.put("pi", b"3"); table.put("e", b"2")
    >>> version = table.version
    >>> table.put("pi", b"3.1"); table.remove("e")
    >>> table.changes(version)
    Changes(version=4, whole=False, values={'pi': b'3.1'}, removed=['e'])
    """

    def __init__(self) -> None:
        self.version = 0
        """Counts changes."""
        self.size = 0
        """Bytes of all values."""
        self._values: dict[str, tuple[int, bytes]] = {}
        self._removed: dict[str, int] = {}
        self._forgotten = 0
        """The version up to which removals are forgotten."""

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str) -> bytes | None:
        """Return the value of a name."""
        entry = self._values.get(name)
        return None if entry is None else entry[1]

    def put(self, name: str, value: bytes) -> None:
        """Set the value of a name; it counts as changed also where the value is the same."""
        self._take_out(name)
        self._removed.pop(name, None)
        self.version += 1
        self.size += len(value)
        self._values[name] = (self.version, value)

    def remove(self, name: str) -> None:
        """Forget a name, and remember that it is gone; nothing happens where it does not exist."""
        if not self._take_out(name):
            return
        self.version += 1
        self._removed[name] = self.version
        if len(self._removed) > FORGET:
            oldest = next(iter(self._removed))
            self._forgotten = self._removed.pop(oldest)

    def changes(self, since: int) -> Changes:
        """Return what changed after version `since`; everything for 0, or where removals since are forgotten."""
        if since == 0 or since < self._forgotten:
            return Changes(self.version, True, {name: value for name, (_, value) in self._values.items()}, [])
        values: dict[str, bytes] = {}
        for name, (version, value) in reversed(self._values.items()):
            if version <= since:
                break
            values[name] = value
        removed = [name for name, version in self._removed.items() if version > since]
        return Changes(self.version, False, values, removed)

    def _take_out(self, name: str) -> bool:
        entry = self._values.pop(name, None)
        if entry is None:
            return False
        self.size -= len(entry[1])
        return True
