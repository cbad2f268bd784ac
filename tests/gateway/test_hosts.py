"""Which runner a page belongs to: the one its token was made by, one that holds the analysis, else by hash."""

import pytest

from databench.errors import RemoteProtocolError
from databench.wire import catalog
from databench.wire.catalog import Catalog, Offer
from databench.wire.messages import Leaving, Present, Who
from databench.wire.roster import SILENCE, owner
from databench_gateway.hosts import Hosts
from tests.gateway.site import CATALOG, entry


def present(name: str, *held: str, life: str = "1", offered: Catalog = CATALOG) -> Present:
    offer = Offer(f"mark-{name}-{life}", frozenset(held), offered)
    return Present("runner", name, life, catalog.to_bytes(offer))


@pytest.fixture
def hosts() -> Hosts:
    hosts = Hosts()
    for name in ("a", "b", "c"):
        hosts.handle(present(name), 0)
    return hosts


def test_by_default_the_hash_decides(hosts: Hosts) -> None:
    assert hosts.owner("pi") == owner("pi", ["a", "b", "c"])
    assert hosts.owner("unknown") is None


@pytest.mark.parametrize("holder", ["a", "b", "c"])
def test_who_holds_sessions_of_an_analysis_keeps_it(hosts: Hosts, holder: str) -> None:
    hosts.handle(present(holder, "pi"), 1)
    assert hosts.owner("pi") == holder
    assert hosts.owner("drag") == owner("drag", ["a", "b", "c"])
    hosts.handle(present(holder), 2)
    assert hosts.owner("pi") == owner("pi", ["a", "b", "c"])


@pytest.mark.parametrize("maker", ["a", "b", "c"])
def test_a_page_goes_to_the_runner_that_made_its_token(hosts: Hosts, maker: str) -> None:
    for other in {"a", "b", "c"} - {maker}:
        hosts.handle(present(other, "pi"), 1)
    assert hosts.owner("pi", f"mark-{maker}-1.secret") == maker


@pytest.mark.parametrize("token", [None, "", ".", "mark-a-2.secret", "mark-a-1", "x" * 10_000])
def test_a_token_without_a_mark_that_is_known_counts_as_none(hosts: Hosts, token: str | None) -> None:
    assert hosts.owner("pi", token) == hosts.owner("pi")


def test_a_runner_that_comes_back_with_another_life_is_gone_and_present(hosts: Hosts) -> None:
    assert hosts.handle(present("a", life="2"), 1) == {"a"}
    assert hosts.owner("pi", "mark-a-2.secret") == "a"


def test_who_leaves_or_is_silent_is_gone(hosts: Hosts) -> None:
    assert hosts.handle(Leaving("runner", "a", "1"), 1) == {"a"}
    hosts.handle(present("b"), SILENCE)
    assert hosts.expire(SILENCE + 1) == {"c"}
    assert hosts.owner("pi") == "b"
    assert len(hosts.offers()) == 1


def test_what_they_offer_is_one_catalog() -> None:
    hosts = Hosts()
    hosts.handle(present("a", offered=Catalog("first", (entry("pi"),), ())), 0)
    hosts.handle(present("b", offered=Catalog("second", (entry("pi"), entry("drag")), ())), 0)
    assert hosts.catalog() == Catalog("first", (entry("pi"), entry("drag")), ())
    assert hosts.owner("drag") == "b"


def test_others_are_none_of_its_business(hosts: Hosts) -> None:
    assert hosts.handle(Who(), 1) == set()
    assert hosts.handle(Present("worker", "w", "1", b""), 1) == set()
    assert len(hosts.offers()) == 3


def test_an_offer_that_is_none_is_refused_and_changes_nothing(hosts: Hosts) -> None:
    with pytest.raises(RemoteProtocolError, match="offer is malformed"):
        hosts.handle(Present("runner", "a", "1", b"\x01"), 1)
    assert len(hosts.offers()) == 3
