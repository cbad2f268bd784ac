"""The offer of a runner arrives as it was sent, and what is none is refused."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.errors import RemoteProtocolError
from databench.wire import catalog, codec
from databench.wire.catalog import EMPTY, Catalog, Entry, Fault, Offer

PI = Entry("pi", "Pi", "Calculating \\(\\pi\\)", "pi.png", "", "pi.py", True)
DRAG = Entry("drag", "drag", "", "", "drag", "drag/__init__.py", False)
FULL = Catalog("All of them.", (PI, DRAG), (Fault("broken", "SyntaxError: no", "Traceback …"),))


@pytest.mark.parametrize("held", [frozenset(), frozenset({"pi", "drag"})])
@pytest.mark.parametrize("sent", [EMPTY, FULL])
def test_an_offer_arrives_as_it_was_sent(sent: Catalog, held: frozenset[str]) -> None:
    offer = Offer("3f", held, sent)
    assert catalog.from_bytes(catalog.to_bytes(offer)) == offer


def test_an_analysis_is_found_by_its_name() -> None:
    assert FULL.entry("drag") == DRAG
    assert FULL.entry("nothing") is None


def without(key: str) -> dict[str, Any]:
    value = codec.unpack(catalog.to_bytes(Offer("3f", frozenset(), FULL)))["catalog"]
    del value["entries"][0][key]
    return dict(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        {},
        {"description": "", "entries": []},
        {"description": None, "entries": [], "faults": []},
        {"description": "", "entries": None, "faults": []},
        {"description": "", "entries": [1], "faults": []},
        {"description": "", "entries": [{1: 2}], "faults": []},
        {"description": "", "entries": [], "faults": [{"module": 1, "summary": "", "traceback": ""}]},
        {"description": "", "entries": [], "faults": ["a"]},
        without("source"),
    ],
    ids=repr,
)
def test_what_is_no_catalog_is_refused(value: object) -> None:
    with pytest.raises(RemoteProtocolError, match="offer is malformed"):
        catalog.from_bytes(codec.pack({"mark": "3f", "held": [], "catalog": value}))


NO_CATALOG: dict[str, object] = {"description": "", "entries": [], "faults": []}


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        [],
        {},
        np.arange(3.0),
        {"mark": "3f", "held": []},
        {"mark": 3, "held": [], "catalog": NO_CATALOG},
        {"mark": "3f", "held": None, "catalog": NO_CATALOG},
        {"mark": "3f", "held": [1], "catalog": NO_CATALOG},
        {"mark": "3f", "held": [[]], "catalog": NO_CATALOG},
    ],
    ids=repr,
)
def test_what_is_no_offer_is_refused(value: object) -> None:
    with pytest.raises(RemoteProtocolError, match="offer is malformed"):
        catalog.from_bytes(codec.pack(value))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_offer_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        catalog.from_bytes(data)
