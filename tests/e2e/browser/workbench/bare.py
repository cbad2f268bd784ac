"""This one has *no page*, and \\(e^{i\\pi} = -1\\)."""

import databench

bare = databench.Analysis("bare", __name__)
bare.description = __doc__


@bare.signals.on("connect")
def greet() -> None:
    bare.signals.emit("log", "hello from bare")
