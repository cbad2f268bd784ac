"""The analysis as its author declares it: a name, texts for people, and signals. Holds no session and no socket."""

import re

from databench.engines.names import checked
from databench.errors import AnalysisError
from databench.signals import Signals
from databench.wire.messages import NAME_LIMIT

RESERVED = frozenset(
    {"static", "ws", "healthz", "readyz", "analysis", "base", "cards", "error", "index", "not_found", "waiting"}
)
"""Names that are URLs or templates of the gateway itself."""

_registry: dict[str, "Analysis"] = {}


class Analysis:
    """A live analysis: a Python module, and a page.

    `name` is the page's address and what `Databench(name)` asks for in the browser: letters, digits, `-` and `_`.
    `import_name` is the module's `__name__`, by which the page's template and files are found. `engine` is what runs
    its jobs, where that is another than the settings say: "bus", "local" or "dask://HOST:8786".
    Raises AnalysisError for a name that cannot be used or is taken, and for an engine that there is not.

    >>> import databench
    >>> pi = databench.Analysis("pi", __name__)
    >>> pi.description = "Calculating \\\\(\\\\pi\\\\) the simple way."
    """

    def __init__(self, name: str, import_name: str, *, engine: str | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or len(name) > NAME_LIMIT or name in RESERVED:
            raise AnalysisError(
                f"an analysis cannot be called {name!r}: use letters, digits, - and _, beginning with a letter, "
                f"and none of {', '.join(sorted(RESERVED))}"
            )
        if name in _registry:
            raise AnalysisError(
                f"two analyses are called {name!r}: one in {_registry[name].import_name}, one in {import_name}"
            )
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
        self.signals = Signals(name)
        _registry[name] = self

    def __repr__(self) -> str:
        return f"<Analysis {self.name!r} in {self.import_name}>"


def withdraw(analysis: Analysis) -> None:
    """Forget an analysis whose module could not be imported."""
    _registry.pop(analysis.name, None)


def registered() -> dict[str, Analysis]:
    """Return all analyses declared in this process, by name."""
    return dict(_registry)
