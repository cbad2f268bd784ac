"""The analysis as its author declares it: a name, texts for people, and signals. Holds no session and no socket."""

import re

from databench.broadcasts import Broadcasts
from databench.engines.names import checked
from databench.errors import AnalysisError
from databench.signals import Signals
from databench.state import State
from databench.wire.messages import NAME_LIMIT

RESERVED = frozenset(
    {"static", "ws", "healthz", "readyz", "analysis", "base", "cards", "error", "index", "not_found", "waiting"}
)
"""Names that are URLs or templates of the gateway itself."""

_registry: dict[str, "Analysis"] = {}


class Analysis:
    """A live analysis: a Python module, and a page.

    `name` is the page's address and what `Databench(name)` asks for in the browser: letters, digits, `-` and `_`.
    `import_name` is the module's `__name__`, by which the page's template and files are found.
    `grace` is for how many seconds a session lives on when nobody looks at it any more, its computation included;
    without it the setting of that name counts, 300 unless it was changed. `engine` is what runs its jobs, where that is
    another than the settings say: "bus", "local" or "dask://HOST:8786".
    Raises AnalysisError for a name that cannot be used or is taken, for a negative grace, and for an engine that there
    is not.

    >>> import databench
    >>> pi = databench.Analysis("pi", __name__)
    >>> pi.description = "Calculating \\\\(\\\\pi\\\\) the simple way."
    """

    def __init__(self, name: str, import_name: str, *, grace: float | None = None, engine: str | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or len(name) > NAME_LIMIT or name in RESERVED:
            raise AnalysisError(
                f"an analysis cannot be called {name!r}: use letters, digits, - and _, beginning with a letter, "
                f"and none of {', '.join(sorted(RESERVED))}"
            )
        if name in _registry:
            raise AnalysisError(
                f"two analyses are called {name!r}: one in {_registry[name].import_name}, one in {import_name}"
            )
        if grace is not None and not grace >= 0:
            raise AnalysisError(f"the grace of {name!r} is a number of seconds from 0 on, not {grace!r}")
        if engine is not None:
            checked(engine)
        self.name: str = name
        self.import_name: str = import_name
        self.engine = engine
        """What runs its jobs; None for what the settings say."""
        self.title = name
        """For people, on the index page and above the page."""
        self.description: str | None = ""
        """Markdown with math, such as the module's docstring."""
        self.thumbnail = ""
        """File name of a picture in the folder `static`."""
        self.show_in_index = True
        """Whether the index page lists it."""
        self.grace = grace
        """Seconds for which a session outlives its last viewer; None where the setting counts."""
        self.signals = Signals(name)
        self.state = State("shared")
        """Keys and values that the pages of all its sessions see: the newest value of each."""
        self.broadcasts = Broadcasts(name)
        """For the runner; authors call `broadcast`."""
        _registry[name] = self

    def broadcast(self, signal: str, payload: object = None) -> None:
        """Send a signal to every page of this analysis, of all sessions and through all gateways. From any thread.

        Broadcasts keep their order among each other, and a page that comes back in time gets what it missed; they have
        none with what sessions emit. Raises PayloadError (a TypeError) for what cannot be sent, and AnalysisError
        outside of the runner, as in a task.
        """
        self.broadcasts.send(signal, payload)

    def __repr__(self) -> str:
        return f"<Analysis {self.name!r} in {self.import_name}>"


def withdraw(analysis: Analysis) -> None:
    """Forget an analysis whose module could not be imported."""
    _registry.pop(analysis.name, None)


def registered() -> dict[str, Analysis]:
    """Return all analyses declared in this process, by name."""
    return dict(_registry)
