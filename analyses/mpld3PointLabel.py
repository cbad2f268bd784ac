"""Fractions that come close to \\(\\pi\\): point at one to see which it is.

For every denominator \\(q\\) the best numerator is \\(p = \\mathrm{round}(q\\pi)\\). How many digits are right is
\\(-\\log_{10} |p/q - \\pi|\\), and a few fractions are far better than their neighbours.
"""

import math

import mpld3
import numpy as np
from matplotlib.figure import Figure

import databench

labelled = databench.Analysis("mpld3PointLabel", __name__)
labelled.title = "Fractions near π, with tooltips"
labelled.description = __doc__
labelled.thumbnail = "mpld3PointLabel.png"


@labelled.signals.on("connect")
def draw() -> None:
    """Send one figure; the tooltips are a plugin of mpld3 and need no more of us."""
    q = np.arange(1, 401)
    p = np.round(q * math.pi).astype(int)
    digits = -np.log10(np.abs(p / q - math.pi))
    record = digits > np.concatenate([[-1.0], np.maximum.accumulate(digits)[:-1]])

    figure = Figure(figsize=(7.2, 4.6), layout="tight")
    ax = figure.subplots()
    ax.set_xlabel("denominator")
    ax.set_ylabel("digits that are right", labelpad=14)
    for which, color, size in ((~record, "#8fb8d6", 6), (record, "#d9570a", 9)):
        (points,) = ax.plot(q[which], digits[which], "o", color=color, markersize=size)
        labels = [f"{a}/{b} = {a / b:.7f}" for a, b in zip(p[which], q[which], strict=True)]
        mpld3.plugins.connect(figure, mpld3.plugins.PointLabelTooltip(points, labels))
    labelled.signals.emit("figure", figure)
