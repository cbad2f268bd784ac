"""Estimate \\(\\pi\\) with random points, watched while it converges.

Of points drawn from the unit square, a share of \\(\\pi/4\\) lies inside the quarter circle.
With \\(k\\) of \\(n\\) inside,

\\[ \\pi \\approx 4p \\pm 4\\sqrt{\\frac{p\\,(1-p)}{n}}, \\qquad p = \\frac{k}{n}. \\]
"""

import math

import numpy as np

import databench

simplepi = databench.Analysis("simplepi", __name__)
simplepi.title = "π, the simple way"
simplepi.description = __doc__
simplepi.thumbnail = "simplepi.png"


@simplepi.signals.on("connect")
@simplepi.signals.on("again")
def estimate() -> None:
    """Draw 10,000 points and tell the page after every 100."""
    random = np.random.default_rng()
    inside = 0
    for draws in range(100, 10_001, 100):
        points = random.random((100, 2))
        inside += int(np.count_nonzero(np.hypot(points[:, 0], points[:, 1]) < 1))
        p = inside / draws
        uncertainty = 4 * math.sqrt(p * (1 - p) / draws)
        simplepi.signals.emit("points", points)
        simplepi.signals.emit("status", {"draws": draws, "pi-estimate": 4 * p, "pi-uncertainty": uncertainty})
        databench.sleep(0.05)
