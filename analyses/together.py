"""Throw Buffon's needles together: everybody who looks at this page adds to the same estimate of \\(\\pi\\).

A needle as long as the boards of a floor are wide crosses a gap between them with probability \\(2/\\pi\\).
After \\(n\\) needles of which \\(k\\) crossed,

\\[ \\pi \\approx \\frac{2n}{k}. \\]

Open the page a second time, or send somebody its address, and needles come in faster.
"""

import threading
from typing import Annotated

import numpy as np
from pydantic import Field

import databench

together = databench.Analysis("together", __name__, grace=10)
together.title = "π, together"
together.description = __doc__
together.thumbnail = "together.png"
together.state.update(people=0, thrown=0, crossed=0)

BOARDS = 8
lock = threading.Lock()
people = 0


def count(thrown: int, crossed: int) -> None:
    """Add to what everybody has thrown."""
    with lock:
        together.state["thrown"] += thrown
        together.state["crossed"] += crossed
        if together.state["crossed"]:
            together.state["pi"] = 2 * together.state["thrown"] / together.state["crossed"]


@together.signals.on("connect")
def throw(session: databench.Session) -> None:
    """Throw as many needles as the slider of this page says, until nobody looks at it any more."""
    global people
    with lock:
        people += 1
        color = people
        together.state["people"] += 1
    session.state.update(color=color, speed=20, mine=0)
    random = np.random.default_rng()
    while True:
        number = random.poisson(session.state["speed"] / 10)
        if number:
            # Their middles, in boards from the edges of the floor, and their angles.
            needles = random.random((number, 3)) * [BOARDS, BOARDS, np.pi]
            reach = np.abs(np.sin(needles[:, 2])) / 2
            crossing = np.floor(needles[:, 1] - reach) != np.floor(needles[:, 1] + reach)
            count(number, int(np.count_nonzero(crossing)))
            session.state["mine"] += number
            together.broadcast("needles", {"color": color, "needles": needles.astype(np.float32)})
        databench.sleep(0.1)


@together.signals.on("state:speed")
async def set_speed(session: databench.Session, speed: Annotated[int, Field(ge=0, le=200)]) -> None:
    """Take the value of the slider."""
    session.state["speed"] = speed


@together.signals.on("sweep")
async def sweep() -> None:
    """Begin anew, for everybody."""
    with lock:
        together.state.update(thrown=0, crossed=0)
        together.state.pop("pi", None)
    together.broadcast("swept")


@together.signals.on("disconnect")
async def leave() -> None:
    """One person less."""
    with lock:
        together.state["people"] -= 1
