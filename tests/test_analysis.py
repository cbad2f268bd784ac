"""The analysis as its author declares it."""

from collections.abc import Iterator

import pytest

import databench
from databench.analysis import registered, withdraw
from databench.errors import AnalysisError


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    before = registered()
    yield
    for name, analysis in registered().items():
        if name not in before:
            withdraw(analysis)


def test_an_analysis_is_registered_by_its_name() -> None:
    analysis = databench.Analysis("declared-once", "some.module")
    assert registered()["declared-once"] is analysis
    assert repr(analysis) == "<Analysis 'declared-once' in some.module>"


def test_it_begins_with_its_name_as_title_and_is_shown() -> None:
    analysis = databench.Analysis("Plain_1", "m")
    assert (analysis.title, analysis.description, analysis.thumbnail) == ("Plain_1", "", "")
    assert analysis.show_in_index


@pytest.mark.parametrize("name", ["a" * 200, "A", "a1-b_C"])
def test_letters_digits_and_dashes_make_a_name(name: str) -> None:
    assert databench.Analysis(name, "m").name == name


@pytest.mark.parametrize("name", ["", "1a", "a b", "a/b", "größe", "a\n", "-a", "a" * 201, "static", "ws", "readyz"])
def test_a_name_that_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(AnalysisError, match="an analysis cannot be called"):
        databench.Analysis(name, "m")
    assert name not in registered()


def test_two_analyses_of_one_name_are_refused_naming_both_modules() -> None:
    databench.Analysis("twice", "one")
    with pytest.raises(AnalysisError, match="two analyses are called 'twice': one in one, one in other"):
        databench.Analysis("twice", "other")


def test_an_engine_is_named_by_the_analysis_or_by_the_settings() -> None:
    assert databench.Analysis("anywhere", "m").engine is None
    assert databench.Analysis("in-threads", "m", engine="local").engine == "local"
    with pytest.raises(AnalysisError, match="there is no engine 'spark': choose bus"):
        databench.Analysis("sparkling", "m", engine="spark")
    assert "sparkling" not in registered()


def test_a_withdrawn_name_is_free_again() -> None:
    withdraw(databench.Analysis("again", "m"))
    databench.Analysis("again", "m")


def test_the_registry_is_not_handed_out() -> None:
    registered()["intruder"] = databench.Analysis("real", "m")
    assert "intruder" not in registered()
