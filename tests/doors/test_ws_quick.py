"""The short way of ordinary orders says what the long way says."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import example
from adapters.decimals import BadDecimal
from adapters.doors import shapes
from adapters.doors.house import Listed, Outcome
from adapters.doors.rest import quick
from adapters.doors.ws.asked import Order
from adapters.tickets import BadTicket, Ticket, new_order
from commands import wellformed
from commands.codec import events, to_row
from commands.messages import CancelOrder, Command, MassCancel, NewOrder, ReduceOrder, ReplaceOrder
from domain.partition import Partition
from domain.verbs import POST_ONLY_MODES, SIDES, STP_MODES
from eventstore.blocks import genesis, seal
from projections.columns import Columns
from projections.instruments import Instruments
from projections.layouts import INSTRUMENT

CLOCK_NS = 1_800_000_000_000_000_000
DECIMALS = st.one_of(
    st.integers(1, 10**7).map(lambda cents: f"{cents / 100:.2f}"),
    st.integers(1, 2_000_000).map(str),
    st.sampled_from(["", "0", "-1", "1e3", "NaN", "12.505", "9" * 25, "1" + "0" * 12, " 5"]),
)


@pytest.fixture(scope="module")
def listed() -> Listed:
    rows = b"".join(map(to_row, example.commands()))
    partition = Partition(1)
    block = seal(genesis(1), rows, partition.execute(rows), partition.time_ns)
    (row,) = Instruments().fold(Columns(block)).values()
    return Listed("ACME", 1, 1, INSTRUMENT.one(row))


@given(
    order=st.builds(
        Order,
        symbol=st.just("ACME"),
        side=st.sampled_from(SIDES),
        quantity=DECIMALS,
        price=DECIMALS,
        order_type=st.sampled_from(["", "limit", "market"]),
        time_in_force=st.sampled_from(["", "GTC", "IOC", "FOK", "DAY", "GTD"]),
        post_only=st.sampled_from(POST_ONLY_MODES),
        self_trade=st.sampled_from(STP_MODES),
        budget=st.sampled_from(["", "", "100.00"]),
        expires=st.sampled_from(["", "", "1900000000000000000"]),
        client_order_id=st.sampled_from(["", "7", "9223372036854775807"]),
    )
)
def test_a_row_is_that_of_the_ticket_or_none(listed: Listed, order: Order) -> None:
    fields = {name: getattr(order, name) for name in Ticket.__struct_fields__} | {"client_order_id": int(order.client_order_id or 0)}
    try:
        long = to_row(msgspec.structs.replace(new_order(Ticket(**fields), 3, 1, listed.terms), sequence=99))
    except (BadTicket, BadDecimal, ValueError):
        long = b""
    try:
        short = quick.order_row(order, 3, listed, 99)
    except BadDecimal:
        assert long == b""
    else:
        assert short in {None, long}
        assert short is None or not wellformed.check(short)
        if long and not wellformed.check(long) and order.price and not (order.budget or order.expires or order.order_type == "market"):
            assert (short is None) == (order.time_in_force == "GTD")


def market(commands: list[Command]) -> Iterator[tuple[str, Outcome, bytes]]:
    """What becomes of each, after the example's market began."""
    partition = Partition(1)
    partition.execute(b"".join(map(to_row, example.commands())))
    for command in commands:
        first = partition.events
        rows = partition.execute(to_row(command))
        yield type(command).__name__, Outcome(1, 5, events(rows, first)), rows


ACCOUNTS = st.integers(1, 2)
NUMBERS = st.integers(0, 6)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        NewOrder,
        received_ns=st.just(CLOCK_NS),
        account=ACCOUNTS,
        instrument=st.just(1),
        side=st.sampled_from(SIDES),
        quantity_lots=st.integers(1, 9),
        price_ticks=st.integers(1_000, 1_003),
        time_in_force=st.sampled_from(["GTC", "IOC", "FOK"]),
        client_order_id=NUMBERS,
        sequence=NUMBERS,
        stp=st.sampled_from(STP_MODES),
    ),
    st.builds(CancelOrder, account=ACCOUNTS, client_order_id=st.integers(1, 6)),
    st.builds(ReduceOrder, account=ACCOUNTS, client_order_id=st.integers(1, 6), quantity_lots=st.integers(1, 9)),
    st.builds(
        ReplaceOrder, account=ACCOUNTS, client_order_id=st.integers(1, 6), quantity_lots=NUMBERS, price_ticks=st.integers(1_000, 1_003)
    ),
    st.builds(MassCancel, account=ACCOUNTS),
)


@given(st.lists(COMMANDS, max_size=30))
def test_an_answer_is_the_one_that_rest_gives_or_none(listed: Listed, commands: list[Command]) -> None:
    for verb, outcome, rows in market(commands):
        first = outcome.events[0]
        short = quick.done(rows, 1, 5, first.index, verb, 12, listed, "disk")
        if first.kind.startswith("Order") and first.kind != "OrdersMassCancelled":
            assert short == shapes.done(outcome, 12, verb, listed, "disk")
        else:
            assert short is None
