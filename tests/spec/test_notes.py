"""Notes: what is put on record without changing anything (docs/rules.md, section 9)."""

from __future__ import annotations

from domain import events as e
from domain import rules
from domain import verbs as v
from tests.market import QUOTE, Market, buy, cancel, event, note_unreadable, refused, symbol, with_word


def test_a_record_that_nobody_could_read_is_named_by_its_place_and_its_fault(market: Market) -> None:
    """So that a poison record of an input stops nothing and is not forgotten."""
    events = market.when(note_unreadable("commands", topic_partition=3, offset=1_234, error=6, size_bytes=77))
    assert events == [event(e.RECORD_UNREADABLE, topic=symbol("commands"), topic_partition=3, offset=1_234, error=6)]


def test_a_note_changes_no_order_and_no_balance(market: Market) -> None:
    market.given(buy(1, 5, 100), note_unreadable())
    assert market.available(1, QUOTE) == 1_000_000 - 500
    assert market.when(cancel(1, client_order_id=0, order=market.number(1)))[0].name == "OrderCancelled"


def test_a_note_of_a_fault_that_there_is_not_is_malformed(market: Market) -> None:
    error = len(v.UNREADABLE)
    assert market.when(note_unreadable(error=error)) == [refused(rules.MALFORMED_FIELD, v.ORDER, error)]


def test_a_note_without_a_topic_is_malformed(market: Market) -> None:
    assert market.when(with_word(note_unreadable(), v.TERMS, 0)) == [refused(rules.MALFORMED_FIELD, v.TERMS, 0)]
