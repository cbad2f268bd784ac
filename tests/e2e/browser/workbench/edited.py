"""This one is edited while its page is open."""

import databench

edited = databench.Analysis("edited", __name__)
edited.description = __doc__


@edited.signals.on("connect")
def greet() -> None:
    edited.signals.emit("word", "before")
