"""What became of a command, asked by the name that its sender gave it."""

from __future__ import annotations

import pytest

from commands.outcomes import Name, of_block, of_command_id, of_session
from commands.writer import Writer
from domain import verbs as v
from eventstore.memory import MemoryLog, MemorySnapshots
from tests import market

PARTITION = 1
SETUP = (
    market.list_instrument(1)
    + market.set_state(v.OPEN)
    + market.open_account(1)
    + market.deposit(1, 1, 10**6)
    + market.deposit(1, 2, 10**6)
)


@pytest.fixture
def log() -> MemoryLog:
    """Block 1: an open market; block 2: orders of session 9 and of account 1; block 3: repetitions of both."""
    log = MemoryLog()
    sent = [
        market.sell(1, 1, 100, session=9, sequence=1),
        market.buy(1, 1, 100, session=9, sequence=2),
        market.buy(2, 1, 100, sequence=77),
        market.buy(1, 5, 90, sequence=77),
        market.buy(1, 0, 2**40, session=9, sequence=3),
    ]
    again = [
        market.buy(1, 3, 3, session=9, sequence=3),
        market.tick(0, session=9, sequence=3),
        market.buy(1, 5, 90, sequence=77),
        market.tick(-1, session=9, sequence=4),
    ]
    with Writer(log, MemorySnapshots(), PARTITION, clock=lambda: 5) as writer:
        for batch in (SETUP, b"".join(sent), b"".join(again)):
            writer.submit(batch).result(20)
    return log


def told(log: MemoryLog, session: int, sequence: int) -> list[str]:
    outcome = of_session(log.read(PARTITION), session, sequence)
    return [] if outcome is None else [event.kind for event in outcome.events]


def test_a_command_is_found_with_all_that_it_caused(log: MemoryLog) -> None:
    outcome = of_session(log.read(PARTITION), 9, 2)
    assert outcome
    assert (outcome.block_seq, outcome.received_ns) == (2, 5)
    assert [event.kind for event in outcome.events] == ["OrderAccepted", "TradeExecuted"]
    assert outcome.events[0].index == 5 + 2
    assert outcome.row[16:24] == (9).to_bytes(8, "little")


def test_a_command_without_session_is_found_by_account_and_id(log: MemoryLog) -> None:
    """Each account has its own ids."""
    mine, others = of_command_id(log.read(PARTITION), 1, 77), of_command_id(log.read(PARTITION), 2, 77)
    assert mine
    assert others
    assert [event.kind for event in mine.events] == ["OrderAccepted", "OrderRested"]
    assert others.events[0].fields["rule"] == "unknown_account"


def test_a_repetition_is_not_the_answer(log: MemoryLog) -> None:
    mine = of_command_id(log.read(PARTITION, 1), 1, 77)
    assert mine
    assert mine.block_seq == 2


def test_a_malformed_row_did_not_use_its_sequence(log: MemoryLog) -> None:
    """The one that was sent after it under the same sequence was decided; while there is none, the refusal is the answer."""
    first = of_session(log.read(PARTITION), 9, 3)
    assert first
    assert (first.block_seq, first.events[0].kind) == (3, "OrderAccepted")
    assert told(log, 9, 4) == ["CommandRefused"]


def test_what_is_not_on_record_has_no_outcome(log: MemoryLog) -> None:
    assert told(log, 9, 5) == []
    assert told(log, 8, 1) == []
    assert of_command_id(log.read(PARTITION), 1, 78) is None


def test_many_commands_of_a_block_are_found_at_once_each_by_its_name(log: MemoryLog) -> None:
    """As one who waits for many outcomes asks each block as it comes; a name that occurs twice is answered by the first."""
    _, orders, repeats = log.read(PARTITION)
    names = {Name(9, 0, 2), Name(0, 1, 77), Name(9, 0, 3), Name(0, 2, 78), Name(8, 0, 2)}
    assert {name: outcome.events[0].kind for name, outcome in of_block(orders, names)} == {
        Name(9, 0, 2): "OrderAccepted",
        Name(0, 1, 77): "OrderAccepted",
        Name(9, 0, 3): "CommandRefused",
    }
    assert {name: outcome.events[0].kind for name, outcome in of_block(repeats, names)}[Name(0, 1, 77)] == "CommandRepeated"
    assert list(of_block(orders, set())) == []
