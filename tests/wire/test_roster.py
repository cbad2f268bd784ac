"""Who is present: lives, silence and the owner of an analysis."""

from collections import Counter

from databench.wire.messages import Gone, Leaving, Present, Who
from databench.wire.roster import PROOF, SILENCE, Member, Roster, owner


def present(name: str, life: str = "1", kind: str = "runner", detail: bytes = b"") -> Present:
    return Present(kind, name, life, detail)


def member(name: str, life: str = "1", kind: str = "runner", detail: bytes = b"") -> Member:
    return Member(kind, name, life, detail)


def test_who_is_present_is_listed_by_name() -> None:
    roster = Roster(["runner", "gateway"])
    for message in (present("b"), present("a"), present("g", kind="gateway")):
        assert roster.handle(message, 0) == []
    assert roster.present("runner") == [member("a"), member("b")]
    assert roster.present("gateway") == [member("g", kind="gateway")]


def test_kinds_that_nobody_asked_for_are_not_kept() -> None:
    roster = Roster(["gateway"])
    assert roster.handle(present("a"), 0) == []
    assert roster.present("runner") == []


def test_the_newest_detail_counts() -> None:
    roster = Roster(["runner"])
    roster.handle(present("a", detail=b"old"), 0)
    assert roster.handle(present("a", detail=b"new"), 1) == []
    assert roster.present("runner") == [member("a", detail=b"new")]


def test_another_life_means_that_the_one_before_is_gone() -> None:
    roster = Roster(["runner"])
    roster.handle(present("a", "1"), 0)
    assert roster.handle(present("a", "2"), 1) == [member("a", "1")]
    assert roster.present("runner") == [member("a", "2")]


def test_who_leaves_is_gone() -> None:
    roster = Roster(["runner"])
    roster.handle(present("a"), 0)
    assert roster.handle(Leaving("runner", "a", "1"), 1) == [member("a")]
    assert roster.handle(Leaving("runner", "a", "1"), 1) == []
    assert roster.present("runner") == []
    assert roster.expire(1000) == []


def test_the_leaving_of_an_older_life_changes_nothing() -> None:
    roster = Roster(["runner"])
    roster.handle(present("a", "2"), 0)
    assert roster.handle(Leaving("runner", "a", "1"), 1) == []
    assert roster.present("runner") == [member("a", "2")]


def test_other_messages_change_nothing() -> None:
    assert Roster(["runner"]).handle(Who(), 0) == []


def test_who_is_silent_for_too_long_is_gone_once() -> None:
    roster = Roster(["runner"])
    roster.handle(present("a"), 0)
    roster.handle(present("b"), 1)
    assert roster.expire(SILENCE) == []
    assert roster.expire(SILENCE + 0.5) == [member("a")]
    assert roster.expire(SILENCE + 0.5) == []
    assert roster.present("runner") == [member("b")]


def test_a_sign_of_life_begins_a_new_term() -> None:
    roster = Roster(["runner"])
    roster.handle(present("a"), 0)
    roster.handle(present("a"), 5)
    assert roster.expire(SILENCE + 1) == []


def test_nobody_owns_an_analysis_where_nobody_is() -> None:
    assert owner("pi", []) is None


def test_the_owner_does_not_depend_on_the_order() -> None:
    runners = [f"runner-{n}" for n in range(5)]
    assert all(owner(f"a{n}", runners) == owner(f"a{n}", runners[::-1]) for n in range(100))


def test_the_owner_is_the_same_in_every_release() -> None:
    assert [owner(name, ["r1", "r2", "r3"]) for name in ("pi", "slowpi", "drag")] == ["r2", "r3", "r2"]


def test_analyses_are_spread_over_the_runners() -> None:
    shares = Counter(owner(f"a{n}", ["r1", "r2", "r3"]) for n in range(300))
    assert min(shares.values()) > 60


def test_only_what_a_lost_runner_owned_moves() -> None:
    names = [f"a{n}" for n in range(200)]
    before = {name: owner(name, ["r1", "r2", "r3"]) for name in names}
    after = {name: owner(name, ["r1", "r3"]) for name in names}
    assert {name for name in names if before[name] != after[name]} == {n for n in names if before[n] == "r2"}


def test_who_is_said_to_be_gone_has_a_moment_to_show_that_it_is_not() -> None:
    roster = Roster(["runner"])
    for name in ("a", "b", "c"):
        roster.handle(Present("runner", name, "1", b""), 100.0)
        assert roster.handle(Gone("runner", name, "0" if name == "c" else "1"), 101.0) == []
    roster.handle(Present("runner", "b", "1", b""), 101.2)
    assert roster.expire(101.0 + PROOF) == []
    assert [member.name for member in roster.expire(101.1 + PROOF)] == ["a"]
    assert [member.name for member in roster.present("runner")] == ["b", "c"]
    assert roster.handle(Gone("runner", "unknown", "1"), 102.0) == []
