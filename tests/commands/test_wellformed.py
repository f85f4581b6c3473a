"""Which rows are malformed, and how the error names it (docs/rules.md, section 1)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.wellformed import Malformed, check
from domain import verbs as v
from domain.wellformed import malformed_rows
from tests import market
from tests.market import symbol, with_word

GOOD = [
    market.list_instrument(),
    market.set_state(v.OPEN),
    market.open_account(1),
    market.change_account(1, v.ACCOUNT_CLOSED),
    market.deposit(1, 1, 10),
    market.withdraw(1, 1, 10),
    market.buy(1, 5, 100),
    market.sell(1, 5, 100, time_in_force=v.GTD, expires_ns=1),
    market.buy(1, 5, 0, order_type=v.MARKET, time_in_force=v.IOC, budget=100),
    market.cancel(1, order=1),
    market.cancel(1, client_order_id=1),
    market.reduce(1, 1, order=1),
    market.replace(1, lots=2, order=1),
    market.mass_cancel(account=1),
    market.mass_cancel(instrument=1, side_scope=v.ONLY_SELLS),
    market.tick(5),
    market.tick(5, session=1, sequence=1),
]


def judged(*rows: bytes) -> list[Malformed]:
    return check(b"".join(rows))


def test_well_formed_rows_pass() -> None:
    assert judged(*GOOD) == []


MALFORMED = [
    (market.raw([0] * 16), "verb", 0, 0),
    (market.raw([15] + [0] * 15), "verb", 0, 15),
    (market.tick(-1), "received_ns", 1, -1),
    (market.buy(1, 5, 100, session=-1), "session", 2, -1),
    (market.buy(1, 5, 100, sequence=-1), "sequence", 3, -1),
    (market.buy(1, 5, 100, session=1), "sequence", 3, 0),
    (market.buy(0, 5, 100), "account", 4, 0),
    (market.buy(1, 5, 100, instrument=0), "instrument", 5, 0),
    (with_word(market.buy(1, 5, 100), 6, 1 << 10), "side", 6, 1024),
    (market.buy(1, 5, 100, time_in_force=5), "time_in_force", 6, 5),
    (market.buy(1, 5, 100, post_only=3), "post_only", 6, 3),
    (market.buy(1, 5, 100, stp=5), "stp", 6, 5),
    (market.buy(1, 5, 100, client_order_id=-1), "client_order_id", 7, -1),
    (with_word(market.buy(1, 5, 100), 8, 1), "word_8", 8, 1),
    (market.buy(1, 5, 2**31), "price_ticks", 9, 2**31),
    (market.buy(1, 2**31, 100), "quantity_lots", 10, 2**31),
    (market.buy(1, 5, 100, budget=2**62 + 1), "budget", 11, 2**62 + 1),
    (market.buy(1, 5, 100, expires_ns=1), "expires_ns", 12, 1),
    (market.buy(1, 5, 100, time_in_force=v.GTD), "expires_ns", 12, 0),
    (with_word(market.buy(1, 5, 100), 15, -(2**63)), "word_15", 15, -(2**63)),
    (market.set_state(0), "state", 6, 0),
    (market.set_state(5), "state", 6, 5),
    (market.change_account(1, 0), "status", 6, 0),
    (market.cancel(1), "order", 8, 0),
    (market.cancel(1, order=5, client_order_id=6), "order", 8, 5),
    (market.mass_cancel(), "instrument", 5, 0),
    (market.mass_cancel(1, side_scope=3), "side_scope", 6, 3),
    (market.deposit(1, 0, 5), "asset", 5, 0),
    (market.list_instrument(symbol=0), "symbol", 6, 0),
    (market.list_instrument(text="A\0B"), "symbol", 6, symbol("A\0B")),
    (market.list_instrument(text="\x7f"), "symbol", 6, 0x7F),
    (market.list_instrument(quote_asset=1), "quote_asset", 7, 1),
    (market.list_instrument(base_scale=19), "base_scale", 7, 19),
    (market.list_instrument(tick_size_e9=0), "tick_size_e9", 8, 0),
    (market.list_instrument(band_low_ticks=0), "band_low_ticks", 10, 0),
    (market.list_instrument(band_low_ticks=9, band_high_ticks=8), "band_high_ticks", 10, 8),
    (market.list_instrument(max_quantity_lots=2**31 - 1, base_units=2**30), "max_quantity_lots", 11, 2**31 - 1),
    (market.list_instrument(max_notional=2**42 + 1), "max_notional", 12, 2**42 + 1),
    (market.list_instrument(taker_rate=100_001), "taker_rate", 13, 100_001),
    (market.list_instrument(quote_units=0), "quote_units", 14, 0),
    (market.list_instrument(day_end_ns=86_400 * 10**9), "day_end_ns", 15, 86_400 * 10**9),
]


@pytest.mark.parametrize(("row", "field", "word", "value"), MALFORMED, ids=[f"{case[1]}-{case[3]}" for case in MALFORMED])
def test_a_malformed_row_is_named_by_row_field_and_value(row: bytes, field: str, word: int, value: int) -> None:
    found = judged(*GOOD, row, *GOOD)
    assert [(each.row, each.field, each.word, each.value) for each in found] == [(len(GOOD), field, word, value)]
    assert field in str(found[0])


def test_only_the_first_broken_rule_of_a_row_is_named() -> None:
    """Words are checked in rising order."""
    assert [each.field for each in judged(market.buy(1, -1, -1), market.buy(0, -1, -1))] == ["price_ticks", "account"]


def near_misses() -> st.SearchStrategy[bytes]:
    """Well-formed rows with a word or two changed to something at an edge."""
    edges = [0, 1, 2, 3, 5, 7, 2**31 - 1, 2**31, 2**60, 2**62, 2**62 + 1, 2**63 - 1, -1, -(2**63)]
    word = st.sampled_from(edges) | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 62).map(lambda bit: 1 << bit)
    change = st.tuples(st.integers(0, 15), word)
    return st.builds(changed, st.sampled_from(GOOD), st.lists(change, max_size=2))


def changed(row: bytes, changes: list[tuple[int, int]]) -> bytes:
    for word, value in changes:
        row = with_word(row, word, value)
    return row


@given(st.lists(near_misses(), min_size=1, max_size=8))
@settings(max_examples=500)
def test_every_row_that_the_domain_calls_malformed_is_explained(rows: list[bytes]) -> None:
    """By a field of the word that the domain names, and by the value which that field has."""
    malformed = malformed_rows(b"".join(rows))
    found = judged(*rows)
    assert [(each.row, each.word) for each in found] == malformed
    for each in found:
        values = market.decode_row(rows[each.row])
        assert (
            each.value == values.get(each.field, int.from_bytes(rows[each.row][each.word * 8 :][:8], "little", signed=True))
            or "bit" in each.rule
        )
