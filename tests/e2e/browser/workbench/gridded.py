"""A figure with a grid."""

from matplotlib.figure import Figure

import databench

gridded = databench.Analysis("gridded", __name__)
gridded.description = __doc__


@gridded.signals.on("connect")
def draw() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 3, 2])
    axes.grid(color="#ccddee")
    gridded.signals.emit("figure", figure)
