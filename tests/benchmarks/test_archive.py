"""What `bench archive` says: of all that was recorded, archived and asked."""

from __future__ import annotations

import pytest

from benchmarks import cli
from tests.benchmarks.test_benchmarks import FIELDS

SMALL = {"accounts": 5, "instruments": 2, "commands": 2_000, "resting": 900, "runs": 3, "events": 20_000}


@pytest.mark.parametrize("flow", ["cross", "cancel"])
def test_all_that_was_recorded_is_archived_and_asked(flow: str) -> None:
    """The flow goes over and over; no order is refused as a repetition, or for want of room: only cancels of what has traded are."""
    answer = cli.run("archive", {"flow": flow, **SMALL})
    assert answer.keys() >= FIELDS | {"day_vwap_s", "order_life_s", "order_life_worst_s", "events_per_core_s", "ranges"}
    assert isinstance(answer["events"], int)
    assert answer["events"] >= 20_000
    assert answer["day_vwap_events"] == answer["events"]
    assert isinstance(answer["mix"], dict)
    assert answer["mix"]["refused_percent"] <= answer["mix"]["cancels_percent"] / 2


def test_an_option_of_servers_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="bench archive has no --rate"):
        cli.run("archive", {"flow": "cross", **SMALL, "rate": 5.0})
