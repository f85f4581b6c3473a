"""The commands run again give the same events, or the first that differs is named with both sides."""

from __future__ import annotations

import numpy as np

from replay.reexecute import reexecute
from tests.market import decode
from tests.replay.records import BLOCKS, STEPS, recorded, rewritten

TRADE = next((block, at) for block in BLOCKS for at, event in enumerate(decode(block.events())) if event.name == "TradeExecuted")


def test_a_record_follows_from_its_commands() -> None:
    found = reexecute(recorded(BLOCKS), 1)
    assert (found.ok, found.blocks, found.commands, found.events) == (True, len(BLOCKS), len(STEPS), STEPS[-1].end_event)
    assert (found.state_hash, found.first_difference) == (STEPS[-1].state_hash, None)


def test_the_first_event_that_differs_is_named_with_both_sides() -> None:
    """Here the record says one tick more for a trade than the engine does."""
    block, at = TRADE

    def dearer(commands: bytes, events: bytes) -> tuple[bytes, bytes]:
        rows = np.frombuffer(events, "<i8").reshape(-1, 8).copy()
        rows[at, 3] += 1
        return commands, rows.tobytes()

    found = reexecute(rewritten(BLOCKS, block.seq, dearer), 1)
    difference = found.first_difference
    assert difference and not found.ok
    assert (difference.kind, difference.seq, difference.event) == ("event", block.seq, block.first_event + at)
    assert difference.fields == ("price_ticks",)
    assert difference.one and difference.other and difference.command
    assert (difference.one.name, difference.command.name) == ("TradeExecuted", "NewOrder")
    assert difference.one.fields["price_ticks"] == difference.other.fields["price_ticks"] + 1
    assert found.blocks == block.seq - 1, "those before came out the same"


def test_an_event_too_many_or_too_few_is_a_difference() -> None:
    """The last trade of a block left out of the record: what stands in its place is shown."""
    block, at = TRADE

    def without(commands: bytes, events: bytes) -> tuple[bytes, bytes]:
        return commands, events[: at * 64] + events[at * 64 + 64 :]

    difference = reexecute(rewritten(BLOCKS, block.seq, without), 1).first_difference
    assert difference and difference.other
    assert (difference.event, difference.other.name) == (block.first_event + at, "TradeExecuted")
    assert difference.command and difference.command.name == "NewOrder"
