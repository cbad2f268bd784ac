"""What a runner tells the gateways about its analyses: enough to make every page, and nothing that runs.

The gateway finds templates and static files in the analyses' folder on its own disk; the catalog says
which. The offer travels as the `detail` of a runner's Present message.
"""

from dataclasses import dataclass, fields
from typing import Any, TypeVar

from databench.errors import RemoteProtocolError
from databench.wire import codec


@dataclass(frozen=True, slots=True)
class Entry:
    """One analysis."""

    name: str
    """As in the URL and in `Databench(name)`."""
    title: str
    """For people; the name unless the author gave another."""
    description: str
    """Markdown with math."""
    thumbnail: str
    """File name of a picture, in the analysis's static folder (or beside its index.html); empty for none."""
    folder: str
    """For an analysis that is a package: its path below the analyses' folder. Else empty."""
    source: str
    """Path of the module's source below the analyses' folder."""
    show_in_index: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """A module in the analyses' folder that could not be imported."""

    module: str
    summary: str
    """One line: the exception's type and message."""
    traceback: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """All analyses of one runner."""

    description: str
    """The package's docstring: the index page's text, Markdown with math."""
    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]

    def entry(self, name: str) -> Entry | None:
        """Return the analysis of that name."""
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a runner has to offer."""

    mark: str
    """What its sessions' tokens begin with, made at random at its start."""
    held: frozenset[str]
    """The analyses of which it has sessions."""
    catalog: Catalog


def to_bytes(offer: Offer) -> bytes:
    """Return the bytes of an offer."""
    return codec.pack({"mark": offer.mark, "held": sorted(offer.held), "catalog": offer.catalog})


def from_bytes(data: bytes) -> Offer:
    """Return the offer behind the bytes; raises RemoteProtocolError when they are not one."""
    try:
        value = codec.unpack(data)
        if type(value) is not dict or type(value["mark"]) is not str or type(value["catalog"]) is not dict:
            raise TypeError("it is not a map with a mark and a catalog")
        held = frozenset(value["held"])
        if not all(type(name) is str for name in held):
            raise TypeError("the name of an analysis is not a string")
        return Offer(value["mark"], held, _catalog(value["catalog"]))
    except (TypeError, KeyError) as error:
        raise RemoteProtocolError(f"offer is malformed: {error}") from None


def _catalog(value: dict[str, Any]) -> Catalog:
    if type(value["description"]) is not str:
        raise TypeError("the catalog has no description")
    return Catalog(
        value["description"],
        tuple(_record(Entry, entry) for entry in value["entries"]),
        tuple(_record(Fault, fault) for fault in value["faults"]),
    )


Record = TypeVar("Record", Entry, Fault)


def _record(kind: type[Record], value: dict[str, Any]) -> Record:
    record = kind(**value)
    if any(type(getattr(record, field.name)) is not field.type for field in fields(record)):
        raise TypeError(f"a field of {kind.__name__} has the wrong type")
    return record


EMPTY = Catalog("", (), ())
