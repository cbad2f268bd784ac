"""What Databench's figures are to reach, as they are or beside another figure of the same run, and whether they did."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Values = Mapping[tuple[str, str], Sequence[float]]
"""What was measured in each round, by figure and peer."""


@dataclass(frozen=True)
class Aim:
    """A bound for a figure of Databench's, or for its ratio to another one.

    >>> Aim(2, beside="raw").verdict({("rate", "databench"): [5, 9], ("rate", "raw"): [2, 3]}, "rate", "databench")
    '2.75 × raw, at least 2: met'
    """

    bound: float
    least: bool = True
    """Whether the bound is the least, not the most, that is wanted."""
    beside: str = ""
    """The peer of the other figure; without one it is Databench's own."""
    figure: str = ""
    """The other figure, where it is not the same one."""

    def verdict(self, values: Values, figure: str, peer: str) -> str:
        """Return how the median of all rounds stands to the bound; ratios are taken within each round."""
        mine = values.get((figure, peer), ())
        if not (self.beside or self.figure):
            return self._told(statistics.median(mine), "") if mine else ""
        other = values.get((self.figure or figure, self.beside or peer), ())
        if not mine or len(mine) != len(other):
            return ""
        ratios = [one / two for one, two in zip(mine, other, strict=True)]
        return self._told(statistics.median(ratios), f" × {self.beside or self.figure}")

    def _told(self, value: float, unit: str) -> str:
        met = value >= self.bound if self.least else value <= self.bound
        reached = f"{value:.2f}{unit}, " if unit else ""
        return f"{reached}at {'least' if self.least else 'most'} {self.bound:,g}: {'met' if met else '**missed**'}"
