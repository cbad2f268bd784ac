"""Random streams: the same for each item, whatever runs it in whichever chunk."""

from itertools import islice
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench import jobs
from databench.errors import AnalysisError
from databench.jobs import JobScope
from databench.seeding import seeds


@given(st.integers(0, 2**200), st.integers(0, 50))
def test_each_item_has_the_stream_that_numpy_gives_to_its_children(entropy: int, item: int) -> None:
    child = np.random.SeedSequence(entropy).spawn(item + 1)[item]
    ours = np.random.default_rng(seeds(entropy)[item])
    assert ours.integers(2**63, size=4).tolist() == np.random.default_rng(child).integers(2**63, size=4).tolist()


@pytest.mark.parametrize("item", [2**32 - 1, 2**32, 2**40 + 7])
def test_there_are_more_items_than_a_word_counts(item: int) -> None:
    child = np.random.SeedSequence(7, spawn_key=(item,))
    assert np.random.default_rng(seeds(7)[item]).random() == np.random.default_rng(child).random()


def test_they_begin_anew_each_time_and_can_be_had_one_by_one() -> None:
    endless, counted = seeds(7), seeds(7, 3)
    assert list(islice(endless, 3)) == list(islice(endless, 3)) == list(counted) == [endless[0], endless[1], counted[2]]
    assert len(counted) == 3  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        counted[3]
    assert repr(counted) == "databench.seeds(7, 3)"


def test_without_entropy_each_has_its_own_which_it_tells() -> None:
    first, second = seeds(), seeds()
    assert first[0] != second[0]
    assert seeds(first.entropy)[0] == first[0]


@pytest.mark.parametrize("bad", [-1, 1.5, "x"])
def test_entropy_is_a_whole_number(bad: object) -> None:
    with pytest.raises(AnalysisError, match="integer"):
        seeds(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [1, 3, 100, "auto"])
async def test_results_depend_neither_on_the_chunks_nor_on_the_engine(
    scope: JobScope, chores: ModuleType, chunk: int
) -> None:
    job = jobs.map(chores.drawn, range(40), seeds(7), chunk=chunk)
    assert job.progress.total == 40
    expected = [item + np.random.default_rng(child).random() for item, child in enumerate(_children(40))]
    assert await job == expected


def _children(n: int) -> list[np.random.SeedSequence]:
    return list(np.random.SeedSequence(7).spawn(n))
