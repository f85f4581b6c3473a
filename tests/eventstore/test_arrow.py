"""A block opens as one Arrow record batch: what stands where, and that nothing is lost."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain import rules, verbs
from domain.events import EVENTS
from domain.verbs import VERBS
from eventstore.arrow import COLUMNS, SCHEMA, to_arrow
from eventstore.blocks import genesis
from tests.eventstore.rows import Said, block_of, happened, said, trade_block
from tests.market import buy, cancel, deposit, list_instrument, mass_cancel, raw, replace, row, symbol


def opened(*story: Said, time_before_ns: int = 0) -> list[dict[str, Any]]:
    """The rows of a first block of partition 7, nulls left out."""
    batch = to_arrow(block_of(genesis(7), *story), time_before_ns)
    return [{name: value for name, value in line.items() if value is not None} for line in batch.to_pylist()]


def test_every_field_name_of_the_vocabulary_is_a_column() -> None:
    """The schema is made from the tables: a field added there is a column here."""
    names = {field.name for row_type in EVENTS + VERBS for field in row_type.fields}
    assert names <= set(SCHEMA.names)
    assert len(set(SCHEMA.names)) == len(SCHEMA.names) == len(COLUMNS)


def test_the_row_of_an_outcome_carries_its_whole_command() -> None:
    """The first event of a command carries the command, so that one row answers who asked for what and what came of it."""
    (line,) = opened(
        (deposit(5, asset=2, amount=900, received_ns=33, session=4, sequence=8), [happened(e.FUNDS_DEPOSITED, available=1_000)])
    )
    assert line == {
        "partition": 7,
        "seq": 1,
        "event_index": 0,
        "command": 0,
        "kind": "FundsDeposited",
        "verb": "Deposit",
        "time_ns": 33,
        "received_ns": 33,
        "session": 4,
        "sequence": 8,
        "account": 5,
        "asset": 2,
        "amount": 900,
        "available": 1_000,
    }


def test_where_command_and_event_differ_both_are_there() -> None:
    """A slid order: the plain column is what happened, command_price_ticks what was asked for."""
    slid = buy(2, 5, 103, post_only=verbs.POST_ONLY_SLIDE)
    (line,) = opened((slid, [happened(e.ORDER_ACCEPTED, instrument=1, order=9, held=505, price_ticks=101, quantity_lots=5)]))
    assert (line["price_ticks"], line["command_price_ticks"]) == (101, 103)


def test_what_a_command_did_not_say_is_null() -> None:
    """A cancel has no side, its outcome has one: command_side stays empty, also beside an order that has both."""
    order = (buy(2, 5, 103), [happened(e.ORDER_ACCEPTED, instrument=1, order=9, price_ticks=103, quantity_lots=5)])
    gone = (cancel(2, order=9), [happened(e.ORDER_CANCELLED, side=1, instrument=1, order=9, account=2, price_ticks=103, quantity_lots=5)])
    accepted, cancelled = opened(order, gone)
    assert (accepted["side"], accepted["command_side"]) == (0, 0)
    assert cancelled["side"] == 1
    assert "command_side" not in cancelled


def test_a_refusal_shows_the_fields_of_the_command_it_refuses() -> None:
    """Searching an instrument's refusals needs the instrument in its own column, which the event does not have."""
    (line,) = opened((buy(2, 5, 103, instrument=6), [happened(e.COMMAND_REFUSED, rule=rules.PRICE_BAND, limit=100, observed=103)]))
    assert (line["kind"], line["instrument"], line["account"], line["rule"], line["limit"]) == (
        "CommandRefused",
        6,
        2,
        rules.PRICE_BAND,
        100,
    )


def test_a_trade_names_taker_and_maker() -> None:
    """The event names the maker; the taker is the order of the outcome before it, its account that of the command."""
    block = trade_block(genesis(1), instrument=3, lots=1)
    trade = block.to_arrow().to_pylist()[-1]
    assert trade["kind"] == "TradeExecuted"
    assert (trade["maker_order"], trade["maker_account"]) == (2**53, 1)
    assert (trade["taker_order"], trade["taker_account"]) == (2**53 + 1, 2)
    assert (trade["account"], trade["instrument"], trade["command"], trade["verb"]) == (2, 3, 1, "NewOrder")
    assert trade["received_ns"] is None, "the command's fields stand once, in the row of its outcome"


def test_the_taker_of_a_replacement_is_the_replaced_order() -> None:
    """A replace that loses priority enters anew under its own number; its command may have named it by the client's id."""
    story = (
        replace(4, price=105, client_order_id=77),
        [
            happened(e.ORDER_REPLACED, instrument=2, order=900, price_ticks=105, quantity_lots=3),
            happened(e.TRADE_EXECUTED, instrument=2, maker_order=800, maker_account=6, price_ticks=105, quantity_lots=3),
        ],
    )
    replaced, trade = opened(story)
    assert (trade["taker_order"], trade["taker_account"]) == (900, 4)
    assert (replaced["order"], replaced["command_order"], replaced["client_order_id"]) == (900, 0, 77)


def test_a_consequence_keeps_its_own_account() -> None:
    """A mass cancel by the venue removes other accounts' orders: the row names their owner."""
    story = (
        mass_cancel(account=0, instrument=2),
        [
            happened(e.ORDERS_MASS_CANCELLED, count=1),
            happened(e.ORDER_REMOVED, reason=e.REMOVED_MASS_CANCEL, instrument=2, order=5, account=8, price_ticks=9, quantity_lots=1),
        ],
    )
    cancelled, gone = opened(story)
    assert (cancelled["account"], gone["account"], gone["instrument"]) == (0, 8, 2)


def test_a_symbol_is_text() -> None:
    """Eight characters in a word are for machines; whoever opens the record asks for ACME."""
    (line,) = opened((list_instrument(1, "ACME.L"), [happened(e.INSTRUMENT_LISTED, instrument=1)]))
    assert line["symbol"] == "ACME.L"


@pytest.mark.parametrize("word", [0, 250, verbs.NEW_ORDER + 256, verbs.NEW_ORDER - 256])
def test_a_row_with_an_unknown_verb_has_no_verb(word: int) -> None:
    """What the row meant is not known, so none of its words is shown under a name; the low bits of word 0 alone are no verb."""
    unknown = raw([word, 5, *[1] * 14])
    (line,) = opened((unknown, [happened(e.COMMAND_REFUSED, rule=rules.MALFORMED_FIELD, limit=0, observed=word)]))
    assert "verb" not in line
    assert "account" not in line


def test_time_rises_and_starts_from_the_block_before() -> None:
    """docs/rules.md 1.1: time is the greatest received_ns so far, over block boundaries."""
    listed = [happened(e.CLOCK_TICKED)]
    ticks = [(row(verbs.TICK_CLOCK, received_ns=at), listed) for at in (50, 70, 60, 80)]
    assert [line["time_ns"] for line in opened(*ticks)] == [50, 70, 70, 80]
    assert [line["time_ns"] for line in opened(*ticks, time_before_ns=65)] == [65, 70, 70, 80]


def test_a_malformed_row_does_not_move_time() -> None:
    """docs/rules.md 1.1: its received_ns may be anything."""
    broken = row(verbs.TICK_CLOCK, received_ns=10**18, session=-1)
    ticks = [
        (row(verbs.TICK_CLOCK, received_ns=50), [happened(e.CLOCK_TICKED)]),
        (broken, [happened(e.COMMAND_REFUSED, rule=rules.MALFORMED_FIELD, limit=2, observed=-1)]),
        (row(verbs.TICK_CLOCK, received_ns=60), [happened(e.CLOCK_TICKED)]),
    ]
    assert [line["time_ns"] for line in opened(*ticks)] == [50, 50, 60]


def test_the_schema_says_where_in_the_chain_the_block_stands() -> None:
    """A batch that travels alone still names the record it is of."""
    block = trade_block(genesis(7), instrument=1, lots=1)
    metadata = block.to_arrow().schema.metadata
    assert metadata == {
        b"outcry.partition": b"7",
        b"outcry.seq": b"1",
        b"outcry.epoch": b"0",
        b"outcry.prev_hash": genesis(7).hash.hex().encode(),
        b"outcry.hash": block.hash.hex().encode(),
        b"outcry.schema_version": b"3",
    }


@given(st.lists(said(), min_size=1, max_size=8))
def test_nothing_is_lost(story: list[Said]) -> None:
    """The rows of every command and event can be made again from the columns: an opened block is worth as much as a closed one."""
    batch = to_arrow(block_of(genesis(1), *story))
    batch.validate(full=True)
    lines = batch.to_pylist()
    assert [_event_again(line) for line in lines] == [event for _, events in story for event in events]
    outcomes = [line for n, line in enumerate(lines) if n == 0 or line["command"] != lines[n - 1]["command"]]
    assert [_command_again(line) for line in outcomes] == [command for command, _ in story]


def _event_again(line: dict[str, Any]) -> bytes:
    kind = next(kind for kind in EVENTS if kind.name == line["kind"])
    return happened(kind.code, **{field.name: _word(line[field.name]) for field in kind.fields})


def _command_again(line: dict[str, Any]) -> bytes:
    verb = next(verb for verb in VERBS if verb.name == line["verb"])
    told = line | {name.removeprefix("command_"): line[name] for name in line if name.startswith("command_") and line[name] is not None}
    return row(verb.code, **{field.name: _word(told[field.name]) for field in verb.fields})


def _word(value: int | str) -> int:
    """What stands in the row: a number as it is, a text as its eight bytes."""
    if isinstance(value, int):
        return value
    word: int = struct.unpack("<q", value.encode("latin-1").ljust(8, b"\0"))[0]
    return word


def test_symbol_words_and_text_agree() -> None:
    """The word the market's tests use for a symbol is the word that opens as that text."""
    assert struct.pack("<q", symbol("ACME")) == b"ACME\0\0\0\0"
