"""Seeds for the items of a job: each item has a random stream of its own, however the items are cut into chunks.

Does what numpy's SeedSequence does on `spawn` (M. E. O'Neill's seed_seq, as numpy documents it), without numpy.
"""

import operator
import secrets
from collections.abc import Iterator
from itertools import count, islice

from databench.errors import AnalysisError

_WORD = 32
_POOL = 4
"""Words that numpy pads the entropy to before it appends what tells children apart."""


def seeds(entropy: int | None = None, n: int | None = None) -> "Seeds":
    """Return seeds for the items of a job: one more iterable for `map`, endless or `n` of them.

    Item i gets the stream of `numpy.random.SeedSequence(entropy).spawn(…)[i]`, so results depend neither on how
    items are cut into chunks nor on which engine runs them, and the same `entropy` gives them again. Without one
    it is drawn anew; `.entropy` tells it. In the task `numpy.random.default_rng(seed)` makes the generator,
    without numpy `random.Random(repr(seed))` makes one.

    Raises AnalysisError where `entropy` or `n` is no integer from 0 on.

    >>> job = databench.map(simulate, settings, databench.seeds(7))  # doctest: +SKIP
    >>> simulate(settings[3], databench.seeds(7)[3])  # item 3 alone, again  # doctest: +SKIP
    >>> seeds(7)[3], list(seeds(7, 2))
    ([7, 0, 0, 0, 3], [[7, 0, 0, 0, 0], [7, 0, 0, 0, 1]])
    """
    drawn = secrets.randbits(_WORD * _POOL) if entropy is None else _natural("entropy", entropy)
    return Seeds(drawn) if n is None else CountedSeeds(drawn, _natural("n", n))


class Seeds:
    """Endless seeds; iterating begins with the first one each time, and `[i]` is that of item i."""

    endless = True

    def __init__(self, entropy: int) -> None:
        self.entropy = entropy
        words = _words(entropy)
        self._prefix = words + [0] * (_POOL - len(words))

    def __getitem__(self, item: int) -> list[int]:
        item = operator.index(item)
        if item < 0:
            raise IndexError(f"there is no item {item}")
        return [*self._prefix, *_words(item)]

    def __iter__(self) -> Iterator[list[int]]:
        prefix = self._prefix
        for item in islice(count(), 2**_WORD):
            yield [*prefix, item]
        for item in count(2**_WORD):
            yield self[item]

    def __repr__(self) -> str:
        return f"databench.seeds({self.entropy})"


class CountedSeeds(Seeds):
    """A known number of seeds."""

    endless = False

    def __init__(self, entropy: int, n: int) -> None:
        super().__init__(entropy)
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, item: int) -> list[int]:
        if not 0 <= item < self._n:
            raise IndexError(f"there is no item {item} of {self._n}")
        return super().__getitem__(item)

    def __iter__(self) -> Iterator[list[int]]:
        return islice(super().__iter__(), self._n)

    def __repr__(self) -> str:
        return f"databench.seeds({self.entropy}, {self._n})"


def _natural(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise AnalysisError(f"{name} of seeds is an integer, not {value!r}") from None
    if number < 0:
        raise AnalysisError(f"{name} of seeds is an integer from 0 on, not {value!r}")
    return number


def _words(number: int) -> list[int]:
    """Return the 32 bit words of a number, the lowest first."""
    words = [number & (2**_WORD - 1)]
    while number := number >> _WORD:
        words.append(number & (2**_WORD - 1))
    return words
