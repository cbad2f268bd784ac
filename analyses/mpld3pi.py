"""How sure is an estimate of \\(\\pi\\)? Two histograms of many estimates tell.

Four times the points make an estimate twice as sharp, since its standard deviation is
\\(\\sigma = \\sqrt{\\pi(4-\\pi)/n}\\).
The figure is drawn by matplotlib in Python and by [mpld3](https://mpld3.github.io) in your browser.
"""

import numpy as np
from matplotlib.figure import Figure

import databench

mpld3pi = databench.Analysis("mpld3pi", __name__)
mpld3pi.title = "π in two histograms"
mpld3pi.description = __doc__
mpld3pi.thumbnail = "mpld3pi.png"

POINTS = (800, 3_200)
BINS = np.linspace(2.891875, 3.391875, 51)  # edges lie between the estimates that are possible: 4/800 apart


@mpld3pi.signals.on("connect")
@mpld3pi.signals.on("again")
def fill() -> None:
    """Add 100 estimates to each histogram, a few times a second."""
    random = np.random.default_rng()
    figure = Figure(figsize=(5.4, 4.8))
    axes = figure.subplots(2, gridspec_kw={"left": 0.04, "right": 0.96, "bottom": 0.07, "top": 0.93, "hspace": 0.35})
    counts = np.zeros((2, 50))
    bars = []
    for ax, points, color in zip(axes, POINTS, ("#0172ad", "#e67a1c"), strict=True):
        bars.append(ax.stairs(np.zeros(50), BINS, fill=True, color=color))
        ax.set_title(f"estimates from {points:,} points each")
        ax.set_xlim(BINS[0], BINS[-1])
        ax.set_yticks([])
    for step in range(1, 41):
        for i, points in enumerate(POINTS):
            x, y = random.random((2, 100, points))
            estimates = 4 * np.count_nonzero(x * x + y * y < 1, axis=1) / points
            counts[i] += np.histogram(estimates, BINS)[0]
            bars[i].set_data(counts[i])
            axes[i].set_ylim(0, 1.1 * counts[i].max())
        mpld3pi.signals.emit("figure", figure)
        mpld3pi.signals.emit("status", {"estimates": 100 * step, "last": step == 40})
        databench.sleep(0.2)
