"""Two records are the same when the same happened, however it was cut into blocks; else the first difference is named."""

from __future__ import annotations

from itertools import islice

from domain.verbs import COMMAND_BYTES
from replay.compare import Mark, diff, parting, trail
from tests.market import decode, with_word
from tests.replay.records import BLOCKS, STEPS, executed, recorded, rewritten

COMMANDS = [rows[at : at + COMMAND_BYTES] for rows in (block.commands() for block in BLOCKS) for at in range(0, len(rows), COMMAND_BYTES)]


def test_a_record_is_the_same_as_its_copy() -> None:
    found = diff(recorded(BLOCKS), recorded(BLOCKS), 1)
    assert (found.same, found.first_block, found.first_difference) == (True, None, None)
    assert (found.commands, found.events) == (len(STEPS), STEPS[-1].end_event)


def test_other_blocks_of_the_same_commands_are_the_same_market() -> None:
    """Where a writer cuts depends on when commands arrive: the chains differ from the first block on, the market does not."""
    found = diff(executed(COMMANDS, 50, 120), executed(COMMANDS, 1, 50, 77, 300), 1)
    assert (found.same, found.first_block, found.commands) == (True, 1, len(COMMANDS))


def test_the_first_command_that_differs_is_named_before_the_events_that_follow_from_it() -> None:
    changed = [*COMMANDS[:60], with_word(COMMANDS[60], 9, 77), *COMMANDS[61:]]
    found = diff(executed(COMMANDS, 50, 120), executed(changed, 30, 61), 1)
    difference = found.first_difference
    assert difference and difference.one and difference.other
    assert (found.same, found.commands, difference.kind, difference.seq) == (False, 60, "command", 2)
    assert difference.event == STEPS[60].first_event
    assert "price_ticks" in difference.fields or difference.one.name not in ("NewOrder", "ReplaceOrder")


def test_the_first_event_that_differs_is_named_when_the_commands_are_the_same() -> None:
    """As of a build that charges another fee: the trade, both sides, and the command that caused it."""
    seq, place = next(
        (block.seq, at) for block in BLOCKS for at, event in enumerate(decode(block.events())) if event.name == "TradeExecuted"
    )

    def charged(commands: bytes, events: bytes) -> tuple[bytes, bytes]:
        return commands, events[: place * 64 + 40] + (9).to_bytes(8, "little") + events[place * 64 + 48 :]

    found = diff(recorded(BLOCKS), rewritten(BLOCKS, seq, charged), 1)
    difference = found.first_difference
    assert difference and difference.one and difference.other and difference.command
    assert (difference.kind, difference.seq, difference.event) == ("event", seq, BLOCKS[seq - 1].first_event + place)
    assert (difference.fields, difference.other.fields["taker_fee"], difference.command.name) == (("taker_fee",), 9, "NewOrder")
    assert found.first_block == seq


def test_a_record_that_ends_sooner_differs_in_what_it_lacks() -> None:
    """From either side."""
    long, short = executed(COMMANDS, 100), executed(COMMANDS[:100])
    for one, other in ((long, short), (short, long)):
        found = diff(one, other, 1)
        assert found.first_difference
        assert (found.same, found.commands, found.first_block) == (False, 100, 2)
        assert (found.first_difference.kind, found.first_difference.event) == ("command", STEPS[100].first_event)
        assert (found.first_difference.one is None) == (one is short)
        assert (found.first_difference.other is None) == (other is short)


def test_two_builds_agree_when_their_trails_do() -> None:
    """A trail hashes the state at every so many blocks and at the end; each build writes its own."""
    marks = list(trail(recorded(BLOCKS), 1, every_blocks=5))
    assert [mark.seq for mark in marks] == [*range(5, len(BLOCKS), 5), len(BLOCKS)]
    assert marks[-1] == Mark(len(BLOCKS), STEPS[-1].end_event, STEPS[-1].state_hash)
    assert parting(marks, trail(recorded(BLOCKS), 1, every_blocks=5)) is None


def test_the_first_marks_that_differ_are_named() -> None:
    marks = list(trail(recorded(BLOCKS), 1, every_blocks=5))
    wrong = marks[1]._replace(state_hash=bytes(32))
    assert parting(marks, [marks[0], wrong, *marks[2:]]) == (marks[1], wrong)
    assert parting(marks, islice(marks, 2)) == (marks[2], None)
