"""`outcry drill`: which there are. That they hold is tested in tests/drills."""

from __future__ import annotations

from adapters.drill.drills import BY_NAME
from tests.cli.conftest import Outcry


def test_the_list_says_what_happens_and_what_the_control_takes_away(outcry: Outcry) -> None:
    ran = outcry("drill", "list", "--json")
    assert ran.code == 0
    assert {drill["drill"] for drill in ran.json["drills"]} == set(BY_NAME)
    assert all(drill["fault"] and drill["control"] for drill in ran.json["drills"])


def test_a_drill_that_is_none_is_told_so(outcry: Outcry) -> None:
    ran = outcry("drill", "earthquake")
    assert ran.code == 2
    assert "'earthquake'; right would be all, list, or one of owner-killed" in ran.err
