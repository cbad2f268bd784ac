"""Drag the points: Python computes the curve they stand for, and its length.

A Bézier curve of degree \\(n\\) with the points \\(P_0, \\dots, P_n\\) is

\\[ B(t) = \\sum_{i=0}^{n} \\binom{n}{i}\\, t^i (1-t)^{n-i} P_i, \\]

where \\(t\\) runs from 0 to 1.
"""

from math import comb

import mpld3
import numpy as np
from matplotlib.figure import Figure
from mpld3.utils import get_id
from numpy.typing import NDArray

import databench

drag = databench.Analysis("mpld3Drag", __name__)
drag.title = "A curve to drag"
drag.description = __doc__
drag.thumbnail = "thumbnail.png"

POINTS = [[0.1, 0.2], [0.2, 0.9], [0.55, 0.95], [0.5, 0.1], [0.9, 0.5]]


def bezier(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 200 points on the Bézier curve."""
    t = np.linspace(0, 1, 200)
    n = len(points) - 1
    weights = np.array([comb(n, i) * t**i * (1 - t) ** (n - i) for i in range(n + 1)])
    curve: NDArray[np.float64] = weights.T @ points
    return curve


@drag.signals.on("connect")
def draw() -> None:
    """Send the figure, and the curve for a start."""
    points = np.array(POINTS)
    figure = Figure(figsize=(6.4, 4.8), layout="tight")
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    (curve,) = ax.plot(*bezier(points).T, color="#0172ad", linewidth=4)
    (polygon,) = ax.plot(*points.T, "--", color="#9aa5b1")
    (markers,) = ax.plot(*points.T, "o", color="#e67a1c", markersize=18)
    mpld3.plugins.clear(figure)  # no zoom: the mouse is for the points
    plugin = mpld3.plugins.PluginBase()  # the plugin itself is static/drag.js, it only has to know what is what
    plugin.dict_ = {
        "type": "drag",
        "points": get_id(markers, "pts"),
        "polygon": get_id(polygon),
        "curve": get_id(curve),
    }
    mpld3.plugins.connect(figure, plugin)
    drag.signals.emit("figure", figure)
    dragged(POINTS)


@drag.signals.on("dragged")
def dragged(points: list[list[float]]) -> None:
    """Answer with the curve for the points as they are now."""
    curve = bezier(np.array(points))
    length = np.hypot(*np.diff(curve, axis=0).T).sum()
    drag.signals.emit("curve", {"points": points, "curve": curve, "length": length})
