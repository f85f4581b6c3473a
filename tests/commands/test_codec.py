"""Objects and rows carry the same, both ways; what they cannot carry is named."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import messages
from commands.codec import SPELLINGS, BadRow, events, from_row, to_row
from domain import events as kinds
from domain.fields import Field, RowType
from domain.verbs import TEXTS, VERBS
from tests import market

WORDS_16 = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=16, max_size=16)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Every value that *field* can carry."""
    if field.name in TEXTS:
        return st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
    if field.name in SPELLINGS:
        return st.sampled_from([text for text in SPELLINGS[field.name] if text not in ("", "unlisted", "none")])
    return st.integers(-(2**63), 2**63 - 1) if field.bits == 64 else st.integers(0, 2**field.bits - 1)


def commands_of(verb: RowType) -> st.SearchStrategy[messages.Command]:
    fields = st.fixed_dictionaries({field.name: values_of(field) for field in verb.fields})
    return fields.map(lambda values: getattr(messages, verb.name)(**values))


@given(st.one_of([commands_of(verb) for verb in VERBS]))
def test_a_row_gives_back_the_command_it_was_made_from(command: messages.Command) -> None:
    row = to_row(command)
    assert len(row) == 128
    assert from_row(row) == command


def test_a_row_has_the_words_of_the_vocabulary() -> None:
    """Against rows written by hand, word by word."""
    order = messages.NewOrder(
        received_ns=1, session=2, sequence=3, account=4, instrument=5, side="sell", order_type="market", time_in_force="FOK",
        post_only="slide", stp="decrement", client_order_id=7, price_ticks=9, quantity_lots=10, budget=11, expires_ns=12,
    )  # fmt: skip
    terms = 1 | 1 << 1 | 2 << 2 | 2 << 5 | 4 << 7
    assert to_row(order) == struct.pack("<16q", 7, 1, 2, 3, 4, 5, terms, 7, 0, 9, 10, 11, 12, 0, 0, 0)


def test_a_symbol_is_packed_with_its_first_character_lowest() -> None:
    row = market.list_instrument(text="ACME")
    listed = from_row(row)
    assert isinstance(listed, messages.ListInstrument)
    assert listed.symbol == "ACME"
    assert to_row(listed) == row


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price_ticks": 2**63}, "NewOrder.price_ticks: 9223372036854775808 does not fit"),
        ({"side": "bid"}, "NewOrder.side: 'bid' is none of buy, sell"),
    ],
)
def test_a_value_that_fits_no_row_is_named(change: dict[str, Any], says: str) -> None:
    """Type checks see most of it before; a caller without either still gets an error that says what is wrong."""
    order = messages.NewOrder(instrument=1, side="buy", quantity_lots=1)
    with pytest.raises(BadRow, match=says):
        to_row(msgspec.structs.replace(order, **change))


@pytest.mark.parametrize("symbol", ["", "TOOLONGER", "A B", "ÄX"])
def test_a_symbol_is_one_to_eight_printable_characters(symbol: str) -> None:
    listed = from_row(market.list_instrument())
    with pytest.raises(BadRow, match=r"ListInstrument\.symbol"):
        to_row(msgspec.structs.replace(listed, symbol=symbol))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"", "128 bytes, not 0"),
        (market.tick(1) + b"\0", "128 bytes, not 129"),
        (market.raw([99] + [0] * 15), "word 0: 99 is no verb; verbs are 1 to 14"),
        (market.with_word(market.tick(1), 5, 1), "TickClock: a word or bit that it does not name is not zero"),
        (market.buy(1, 1, 1, time_in_force=7), "NewOrder.time_in_force: 7 is none of 0 to 4"),
        (market.set_state(0), "SetInstrumentState: Invalid enum value 'unlisted'"),
        (market.list_instrument(symbol=0), "ListInstrument.symbol: ''"),
        (market.list_instrument(symbol=market.symbol("A\0B")), "ListInstrument.symbol"),
    ],
)
def test_a_row_that_is_no_command_is_named(row: bytes, says: str) -> None:
    with pytest.raises(BadRow, match=says):
        from_row(row)


@given(st.binary(max_size=300) | WORDS_16.map(market.raw))
def test_any_bytes_are_a_command_or_an_error_that_explains(row: bytes) -> None:
    try:
        command = from_row(row)
    except BadRow as bad:
        assert str(bad)  # noqa: PT017 - either is right
    else:
        assert to_row(command) == row


def test_events_are_numbered_and_spelled_out() -> None:
    refusal = struct.pack("<8q", kinds.COMMAND_REFUSED, 1, 9, 77, 0, 0, 0, 0)
    removal = struct.pack("<8q", kinds.ORDER_REMOVED | 1 << 8 | 3 << 16 | 6 << 32, 1001, 4, 100, 5, 0, 0, 0)
    assert events(refusal + removal, first_event=40) == [
        messages.Event(40, "CommandRefused", {"rule": "malformed_field", "limit": 9, "observed": 77}),
        messages.Event(
            41,
            "OrderRemoved",
            {
                "side": "sell",
                "reason": "self_trade",
                "instrument": 6,
                "order": 1001,
                "account": 4,
                "price_ticks": 100,
                "quantity_lots": 5,
                "released": 0,
            },
        ),
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_an_error_that_explains(rows: bytes) -> None:
    try:
        assert len(events(rows)) * 64 == len(rows)
    except BadRow as bad:
        assert str(bad)  # noqa: PT017 - either is right
