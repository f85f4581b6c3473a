"""Partitions are dealt evenly to those who keep views, and move no more than that takes."""

from __future__ import annotations

from itertools import chain
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from projections.faust_app import Even
from projections.shares import shares

MEMBERS = st.sets(st.sampled_from("abcdefgh"), min_size=1)


@given(st.integers(0, 20), MEMBERS, st.data())
def test_every_partition_has_one_keeper_and_nobody_has_two_more_than_another(count: int, members: set[str], data: st.DataObject) -> None:
    """Whatever they held before: also what is no partition any more, and the same twice."""
    held = {member: data.draw(st.sets(st.integers(0, 25))) for member in members}
    dealt = shares(range(1, count + 1), held)
    assert dealt.keys() == members
    assert sorted(chain(*dealt.values())) == list(range(1, count + 1))
    sizes = [len(each) for each in dealt.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 20), st.integers(1, 8), st.integers(1, 8))
def test_whoever_comes_or_goes_nothing_moves_that_need_not(count: int, before: int, after: int) -> None:
    """What a member gives away is what it has beyond its share, and a member that stays gets nothing while it gives."""
    partitions, members = range(1, count + 1), "abcdefgh"
    held = shares(partitions, dict.fromkeys(members[:before], ()))
    dealt = shares(partitions, {member: held.get(member, ()) for member in members[:after]})
    for member in members[: min(before, after)]:
        stays = set(held[member]) & set(dealt[member])
        assert len(stays) == min(len(held[member]), len(dealt[member]))


def test_two_workers_with_two_partitions_have_one_each() -> None:
    """Whichever the first one had before: a partition without views is no share."""
    assert shares([1, 2], {"a": [0, 1, 2], "b": []}) == {"a": [1], "b": [2]}
    assert shares([1, 2], {"a": [], "b": [1, 2]}) == {"a": [2], "b": [1]}


def test_a_leader_that_was_just_cut_off_deals_all_partitions_though_it_knows_of_none() -> None:
    """What it deals stays so until a member comes or goes: nothing to anybody would stop all views, and everybody would be ready."""

    class Dealing(Even):
        partitions = (1, 2, 3)

    app = SimpleNamespace(tables=None, conf=SimpleNamespace(canonical_url="http://here"))
    assignor = Dealing(cast("Any", app))
    member = SimpleNamespace(subscription=["blocks"], user_data=b"")
    assignor._get_client_metadata = lambda _: SimpleNamespace(assignment=SimpleNamespace(actives={}), url="here")  # type: ignore[method-assign,assignment,return-value]
    knows_nothing = SimpleNamespace(partitions_for_topic=lambda _: None)
    dealt = assignor._perform_assignment(knows_nothing, {"a": member, "b": member})
    assert {name: each.assignment for name, each in dealt.items()} == {"a": [("blocks", [1, 3])], "b": [("blocks", [2])]}
