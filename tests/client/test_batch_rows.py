"""Rows and batches as the client packs them are, byte for byte, what the venue packs of the same commands."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.decimals import to_lots, to_ticks
from adapters.tickets import Ticket, new_order
from commands import batch as venue
from commands.codec import to_row
from commands.messages import CancelOrder, MassCancel, ReduceOrder, ReplaceOrder
from domain.events import EVENTS, FIRST_CONSEQUENCE
from outcry.client import Instrument, batch
from outcry.client.batch import Outcome
from outcry.client.shapes import Terms
from projections.layouts import Instrument as VenueTerms

TICK_E9, LOT_E9 = 50_000_000, 1_000_000_000
ACME = Instrument(
    symbol="ACME",
    state="open",
    partition=1,
    instrument=3,
    base_asset="ACME",
    quote_asset="USD",
    tick_size=Decimal("0.05"),
    lot_size=Decimal(1),
    low_price=Decimal("0.10"),
    high_price=Decimal(1000),
    max_quantity=Decimal(10**6),
    maker_rate=Decimal(0),
    taker_rate=Decimal(0),
)
VENUE_TERMS = VenueTerms(*(0 for _ in VenueTerms._fields))._replace(
    tick_size_e9=TICK_E9, lot_size_e9=LOT_E9, quote_scale=2, band_low_ticks=2
)
PRICES = some.integers(1, 10**5).map(lambda ticks: str(ticks * Decimal("0.05")))
IDS = some.integers(1, 2**63 - 1)
LOTS = some.integers(1, 10**6)
TERMS = some.fixed_dictionaries(
    {},
    optional={
        "time_in_force": some.sampled_from(["GTC", "IOC", "FOK", "DAY"]),
        "post_only": some.sampled_from(["off", "refuse", "slide"]),
        "self_trade": some.sampled_from(["allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"]),
        "client_order_id": IDS,
    },
)


@given(side=some.sampled_from(["buy", "sell"]), quantity=LOTS, price=PRICES, expires_ns=some.just(0) | IDS, terms=TERMS)
def test_a_row_of_a_limit_order(side: str, quantity: int, price: str, expires_ns: int, terms: Terms) -> None:
    words = dict(terms) | ({"time_in_force": "GTD"} if expires_ns else {})
    ticket = Ticket(side=side, quantity=str(quantity), price=price, expires=str(expires_ns or ""), **words)  # type: ignore[arg-type]
    made = batch.new_order(ACME, 7, side, quantity, price, expires_ns=expires_ns, **words)  # type: ignore[arg-type]
    assert made == to_row(new_order(ticket, 7, 3, VENUE_TERMS))


@pytest.mark.parametrize(("side", "price"), [("buy", "12.50"), ("sell", "12.50"), ("sell", "")])
def test_a_row_of_a_market_order(side: str, price: str) -> None:
    ticket = Ticket(side=side, quantity="5", price=price, order_type="market")  # type: ignore[arg-type]
    made = batch.new_order(ACME, 7, side, 5, price, order_type="market")  # type: ignore[arg-type]
    assert made == to_row(new_order(ticket, 7, 3, VENUE_TERMS))


@given(order=IDS, client_order_id=IDS, price=PRICES, lots=LOTS, new=IDS)
def test_rows_of_what_changes_orders(order: int, client_order_id: int, price: str, lots: int, new: int) -> None:
    ticks = to_ticks(price, TICK_E9)
    assert to_lots(str(lots), LOT_E9) == lots
    assert batch.cancel(7, str(order)) == to_row(CancelOrder(account=7, order=order))
    assert batch.cancel(7, client_order_id=client_order_id) == to_row(CancelOrder(account=7, client_order_id=client_order_id))
    assert batch.reduce(ACME, 7, lots, order) == to_row(ReduceOrder(account=7, order=order, quantity_lots=lots))
    made = batch.replace(ACME, 7, order, price=price, quantity=lots, new_client_order_id=new)
    wanted = ReplaceOrder(account=7, order=order, price_ticks=ticks, quantity_lots=lots, new_client_order_id=new)
    assert made == to_row(wanted)


def test_rows_that_cancel_all() -> None:
    assert batch.cancel_all(7) == to_row(MassCancel(account=7))
    assert batch.cancel_all(7, ACME, "sells") == to_row(MassCancel(account=7, instrument=3, side_scope="sells"))


@given(rows=some.lists(some.binary(min_size=128, max_size=128), min_size=1, max_size=5))
def test_a_batch_has_the_header_and_checksum_that_the_venue_gives_it(rows: list[bytes]) -> None:
    made = batch.encode(rows)
    assert made == venue.encode(b"".join(rows))
    assert batch.checksum(made) == str(int.from_bytes(made[12:16], "little"))


def test_the_rows_of_a_batch_are_numbered_in_its_session() -> None:
    rows = [batch.cancel(7, order) for order in (1, 2)]
    numbered = [CancelOrder(account=7, order=order, session=5, sequence=100 + order) for order in (1, 2)]
    assert batch.encode(rows, session=5, first_sequence=101) == venue.encode(b"".join(map(to_row, numbered)))


@pytest.mark.parametrize(
    ("rows", "says"), [([], "here are 0 bytes"), ([bytes(128)] * 16_385, "1 to 16384 rows"), ([bytes(100)], "100 bytes")]
)
def test_what_is_no_batch_is_not_made(rows: list[bytes], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        batch.encode(rows)


def test_prices_and_quantities_that_the_instrument_does_not_have_are_refused_with_what_would_be_right() -> None:
    with pytest.raises(ValueError, match=r"price of ACME is 12\.51, which is between two ticks; right would be a multiple of 0\.05"):
        batch.new_order(ACME, 7, "buy", 5, "12.51")
    with pytest.raises(ValueError, match=r"quantity of ACME is 1\.5, which is between two lots"):
        batch.reduce(ACME, 7, "1.5", 1)
    with pytest.raises(ValueError, match="has no price"):
        batch.new_order(ACME, 7, "buy", 5)


def test_an_acknowledgement_says_what_became_of_each_row() -> None:
    """Every kind of outcome that clients' commands have."""
    names = {row.name: row.code for row in EVENTS if row.code < FIRST_CONSEQUENCE}
    rows = [
        (names["OrderAccepted"] | 1 << 8, 11),
        (names["OrderCancelled"], 12),
        (names["OrderReduced"], 13),
        (names["OrderReplaced"] | 1 << 9, 14),
        (names["OrdersMassCancelled"], 3),
        (names["CommandRefused"], 15),
        (names["CommandRepeated"], names["OrderAccepted"]),
        (names["CommandRepeated"], names["CommandRefused"]),
        (names["CommandRepeated"], 0),
    ]
    frame = struct.pack("<4sHHIIqq", b"OUTK", 1, 0, len(rows), 77, 5, 40) + b"".join(struct.pack("<2q", *row) for row in rows)
    assert batch.acknowledged(frame) == (
        5,
        40,
        [
            *(Outcome("accepted", order=order) for order in (11, 12, 13, 14)),
            Outcome("accepted"),
            Outcome("refused", rule=15),
            Outcome("repeated", first="accepted"),
            Outcome("repeated", first="refused"),
            Outcome("repeated"),
        ],
    )
