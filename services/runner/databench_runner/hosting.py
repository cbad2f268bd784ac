"""The sessions of a runner: how they begin, are found by their token, and end when nobody comes back.

Owns tokens and grace. Knows no viewer and no bus.
"""

import asyncio
import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from databench.analysis import Analysis
from databench.config import Settings
from databench.engines.choice import Engines
from databench.handling import NULL, Handling
from databench.jobs import JobScope
from databench.progress import Report
from databench.session import Deliver, Session
from databench.threadpool import Threads
from databench.wire.rates import RateLimit

log = logging.getLogger(__name__)

SESSIONS = 10_000
"""Sessions that a runner holds at most, those included to which nobody looks at the moment."""


@dataclass(eq=False, slots=True)
class Hosted:
    """A session here, with its handlers and, while nobody watches, the end of its grace."""

    analysis: Analysis
    session: Session
    handling: Handling
    limit: RateLimit
    heard: int
    """The last broadcast before it began."""
    refused: str = ""
    """The last signal beyond the limit."""
    expiry: asyncio.TimerHandle | None = None


class Hosting:
    """All sessions of this runner; `held_changed` is called when it begins or ends to hold an analysis."""

    def __init__(self, settings: Settings, deliver: Deliver, held_changed: Callable[[], None]) -> None:
        self.mark = secrets.token_hex(4)
        self._settings = settings
        self._deliver = deliver
        self._held_changed = held_changed
        self._sessions: dict[str, Hosted] = {}
        self._held: Counter[str] = Counter()
        self._threads = Threads()

    @property
    def held(self) -> frozenset[str]:
        """The analyses of which there are sessions."""
        return frozenset(self._held)

    @property
    def full(self) -> bool:
        """Whether no further session can begin."""
        return len(self._sessions) >= SESSIONS

    def all(self) -> list[Hosted]:
        """Return all sessions."""
        return list(self._sessions.values())

    def find(self, analysis: str, token: str | None) -> Hosted | None:
        """Return the session of this token; one of another analysis is not found, like one that never was."""
        hosted = self._sessions.get(token or "")
        if hosted is None or token is None or hosted.analysis.name != analysis:
            return None
        return hosted if hmac.compare_digest(hosted.session.token.encode(), token.encode()) else None

    def begin(self, analysis: Analysis, engines: Engines) -> Hosted:
        """Make a session; `connect` is for the caller to say, when somebody looks."""
        settings, loop = self._settings, asyncio.get_running_loop()
        engine, group = engines(analysis.engine), secrets.token_hex(8)

        def scope(check: Callable[[], None], report: Report) -> JobScope:
            return JobScope(engine, check, group=group, progress=report, engines=engines, later=later)

        def later(seconds: float, tell: Callable[[], None]) -> None:
            loop.call_soon_threadsafe(loop.call_later, seconds, tell)

        token = f"{self.mark}.{secrets.token_urlsafe(24)}"
        session = Session(analysis.name, token, self._deliver, shared=analysis.state, max_payload=settings.max_payload)
        handling = Handling(analysis, session, scope, settings.development, self._threads)
        limit = RateLimit(settings.rate, loop.time())
        hosted = self._sessions[token] = Hosted(analysis, session, handling, limit, analysis.broadcasts.published)
        self._held[analysis.name] += 1
        if self._held[analysis.name] == 1:
            self._held_changed()
        return hosted

    def watched(self, hosted: Hosted) -> None:
        """Somebody looks: its grace is called off."""
        if hosted.expiry is not None:
            hosted.expiry.cancel()
            hosted.expiry = None

    def left(self, hosted: Hosted) -> None:
        """Nobody looks any more: its grace begins."""
        grace = self._settings.grace if hosted.analysis.grace is None else hosted.analysis.grace
        self.watched(hosted)
        hosted.expiry = asyncio.get_running_loop().call_later(grace, self.end, hosted, "nobody came back")

    def end(self, hosted: Hosted, reason: str) -> None:
        """End a session: its pages learn the reason, if any, and what it still does is cancelled."""
        self.watched(hosted)
        if hosted.limit.refused:
            log.warning("%s: %d signals of a page were refused", hosted.analysis.name, hosted.limit.refused)
        hosted.session.end(reason)
        hosted.handling.end()
        del self._sessions[hosted.session.token]
        self._held[hosted.analysis.name] -= 1
        if not self._held[hosted.analysis.name]:
            del self._held[hosted.analysis.name]
            self._held_changed()

    def connected(self, hosted: Hosted) -> None:
        """Tell a session that begins that its first page is there."""
        hosted.handling.arrive("connect", NULL)
