"""The runners as a gateway hears of them: what each offers, and which of them a page belongs to.

Pure: messages and the time come in. Owns the choice of the runner, as docs/protocol.md, section 3, has it.
"""

from databench.wire import catalog
from databench.wire.catalog import Catalog, Offer
from databench.wire.messages import Gone, Leaving, Message, Present
from databench.wire.roster import Roster, owner


class Hosts:
    """The live runners and their offers."""

    def __init__(self) -> None:
        self._roster = Roster(["runner"])
        self._details: dict[str, bytes] = {}
        self._offers: dict[str, Offer] = {}
        self._seen: set[str] = set()
        """Every analysis that was ever offered."""

    def handle(self, message: Message, now: float) -> set[str]:
        """Take a message of the presence topic; return the names of the runners that are gone through it.

        Raises RemoteProtocolError for an offer that is none.
        """
        if not isinstance(message, Present | Leaving | Gone) or message.kind != "runner":
            return set()
        if isinstance(message, Present) and self._details.get(message.name) != message.detail:
            self._offers[message.name] = catalog.from_bytes(message.detail)
            self._details[message.name] = message.detail
            self._seen.update(entry.name for entry in self._offers[message.name].catalog.entries)
        return self._forget({member.name for member in self._roster.handle(message, now)})

    def expire(self, now: float) -> set[str]:
        """Return the names of the runners that were silent for too long, and forget them."""
        return self._forget({member.name for member in self._roster.expire(now)})

    def offers(self) -> list[Offer]:
        """Return what all live runners offer, in the order of their names."""
        return [self._offers[name] for name in self._names()]

    def catalog(self) -> Catalog:
        """Return what they offer together."""
        catalogs = [offer.catalog for offer in self.offers()]
        entries = {entry.name: entry for each in catalogs for entry in each.entries}
        faults = {fault.module: fault for each in catalogs for fault in each.faults}
        description = next((each.description for each in catalogs if each.description), "")
        return Catalog(description, tuple(entries.values()), tuple(faults.values()))

    def owner(self, analysis: str, token: str | None = None) -> str | None:
        """Return the runner that a page with this token belongs to; None when nobody offers the analysis."""
        offering = [name for name in self._names() if self._offers[name].catalog.entry(analysis) is not None]
        mark, dot, _ = (token or "").partition(".")
        marked = [name for name in offering if dot and self._offers[name].mark == mark]
        holding = [name for name in offering if analysis in self._offers[name].held]
        return owner(analysis, marked or holding or offering)

    def knows(self, analysis: str) -> bool:
        """Return whether the analysis is offered, or was: then its runner may come back."""
        return analysis in self._seen

    def made(self, token: str | None) -> bool:
        """Return whether a live runner made this token, as far as its mark tells."""
        mark, dot, _ = (token or "").partition(".")
        return bool(dot) and any(offer.mark == mark for offer in self._offers.values())

    def _names(self) -> list[str]:
        return [member.name for member in self._roster.present("runner")]

    def _forget(self, gone: set[str]) -> set[str]:
        for name in gone.difference(self._names()):
            self._offers.pop(name, None)
            self._details.pop(name, None)
        return gone
