"""A page that is wired by attributes."""

import databench

wired = databench.Analysis("wired", __name__)
wired.description = __doc__

totals: dict[str, int] = {"sum": 0}


@wired.signals.on("connect")
def begin() -> None:
    totals["sum"] = 0
    wired.signals.emit("total", totals)


@wired.signals.on("add")
def add(numbers: dict[str, int]) -> None:
    totals["sum"] += numbers["n"]
    wired.signals.emit("total", totals)


@wired.signals.on("ask")
def ask(payload: object) -> None:
    wired.signals.emit("answer", {"asked": payload})


@wired.signals.on("fail")
def fail() -> None:
    raise ValueError("on purpose")
