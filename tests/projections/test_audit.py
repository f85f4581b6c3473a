"""The documents of the audit index, each kind by itself, and all of them against a reader of the record who writes them by hand."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import verbs as v
from domain.columns import DAY_NS
from domain.events import EVENTS
from domain.partition import Partition
from eventstore.blocks import after, genesis, seal
from projections.audit import INSTRUMENTS, Audit, lines_of
from projections.columns import Columns
from projections.documents import MAPPING, Document
from projections.view import Rows
from tests.conftest import REPOSITORY
from tests.market import buy, cancel, deposit, mass_cancel, reduce, replace, sell, set_state, withdraw
from tests.model.small_market import opening
from tests.projections.flow import trading
from tests.projections.naive_audit import NaiveAudit

ALICE, BOB = 1, 2


class Recorder:
    """A small market whose every batch is a block; what each says."""

    def __init__(self) -> None:
        self.engine, self.head, self.fold = Partition(1), genesis(1), Audit()
        self.say(*opening(), *(deposit(account, asset, 10**6) for account in (ALICE, BOB) for asset in (1, 2, 3)))

    def say(self, *commands: bytes) -> list[dict[str, Any]]:
        batch = b"".join(commands)
        block = seal(self.head, batch, self.engine.execute(batch), self.engine.time_ns)
        self.head = after(block)
        return [document for _, document in documents(self.fold.fold(Columns(block))).values()]


def documents(rows: Rows) -> dict[str, tuple[int, dict[str, Any]]]:
    """By key: version and fields."""
    found = {}
    for key, row in rows.items():
        if not key.startswith(INSTRUMENTS):
            action, document = map(msgspec.json.decode, lines_of(row))
            assert key.endswith("/" + action["index"]["_id"])
            found[key] = action["index"]["version"], document
    return found


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.integers(1, 200))
def test_every_document_is_what_the_events_say_after_each_block(seed: int, longest: int) -> None:
    """However the commands were cut into blocks. The life of an order is that of a fold by hand, at each position."""
    naive, fold, kept = NaiveAudit(), Audit(), dict[str, tuple[int, dict[str, Any]]]()
    for block in trading(seed, 400, longest):
        naive.take(block)
        for key, (version, document) in documents(fold.fold(Columns(block))).items():
            if document["kind"] == "operator":
                document.pop("text", "")  # is for people
            assert key not in kept or kept[key][0] < version, "never backwards"
            kept[key] = version, document
        assert kept == naive.documents, f"after block {block.seq}"


def test_it_goes_on_from_its_state_as_if_it_had_never_stopped() -> None:
    first = Audit()
    for block in trading(seed=5, count=400):
        if block.seq % 7 == 0:
            second = Audit()
            second.restore(first.state())
            assert second.state() == first.state()
            assert second.fold(Columns(block)) == first.fold(Columns(block))
            first = second
        elif block.seq % 5:
            first.fold(Columns(block))
        else:
            first.skip(Columns(block))


def test_the_page_shows_the_fields_of_every_document() -> None:
    page = (REPOSITORY / "docs/views.md").read_text()
    shown = {kind: re.findall(r"`(\w+)`", fields) for kind, fields in re.findall(r"^\| (\w+) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)}
    for document in get_args(Document):
        fields = document.__struct_fields__
        assert shown[document.__struct_config__.tag] == list(fields[4:])
        assert set(fields) <= set(MAPPING["properties"])


def test_an_order_is_one_document_that_says_how_it_ended() -> None:
    market = Recorder()
    (order,) = market.say(buy(ALICE, 5, 100, client_order_id=7))
    assert (order["kind"], order["account"], order["client_order_id"], order["open_lots"]) == ("order", ALICE, 7, 5)
    assert "ended_by" not in order
    (ended,) = market.say(cancel(ALICE, client_order_id=7))
    place = ("partition", "seq", "event", "time_ns")
    assert [ended[name] for name in place] == [order[name] for name in place]
    assert (ended["ended_by"], ended["changed_seq"]) == ("OrderCancelled", market.head.seq)
    assert "open_lots" not in ended


def test_a_trade_names_the_taker_first() -> None:
    market = Recorder()
    (maker,) = market.say(sell(BOB, 5, 100))
    taker, maker_after, trade = sorted(market.say(buy(ALICE, 3, 101)), key=lambda each: (each["kind"] == "trade", each["account"]))
    assert (trade["account"], trade["order"]) == ([ALICE, BOB], [taker["order"], maker["order"]])
    assert (trade["price_ticks"], trade["quantity_lots"], trade["side"]) == (100, 3, "buy")
    assert (maker_after["open_lots"], maker_after["filled_lots"], taker["ended_by"]) == (2, 3, "TradeExecuted")


def test_what_changed_an_order_in_a_block_is_one_document() -> None:
    market = Recorder()
    market.say(buy(ALICE, 9, 100, client_order_id=7))
    change = next(
        each
        for each in market.say(reduce(ALICE, 1, client_order_id=7), replace(ALICE, 4, 101, client_order_id=7))
        if each["kind"] == "change"
    )
    assert change["what"] == ["OrderReduced", "OrderReplaced"]
    assert (change["price_ticks"], change["open_lots"], change["event"]) == (101, 4, market.engine.events - 2 - 1)


def test_a_refusal_says_which_rule_and_what_was_asked() -> None:
    market = Recorder()
    (refusal,) = market.say(buy(ALICE, 5, 100, instrument=9))
    assert (refusal["kind"], refusal["what"], refusal["reason"]) == ("refusal", "NewOrder", "unknown_instrument")
    assert (refusal["instrument"], refusal["quantity_lots"], refusal["observed"], refusal["side"]) == (9, 5, 9, "buy")


def test_money_that_goes_is_below_zero() -> None:
    market = Recorder()
    came, went = sorted(market.say(deposit(ALICE, 1, 50), withdraw(ALICE, 1, 20)), key=lambda each: int(each["event"]))
    assert (came["what"], came["amount"], went["what"], went["amount"]) == ("FundsDeposited", 50, "FundsWithdrawn", -20)
    assert came["available"] - went["available"] == 20


def test_sessions_and_acts_of_operators_say_what_was_done() -> None:
    market = Recorder()
    session, act = sorted(market.say(set_state(v.HALTED, 1), mass_cancel(ALICE)), key=lambda each: int(each["event"]))
    assert (session["kind"], session["text"]) == ("session", "from open to halted")
    assert (act["kind"], act["what"], act["account"]) == ("operator", "OrdersMassCancelled", ALICE)


@pytest.mark.parametrize("days", [0, 1, 400])
def test_a_document_is_filed_under_the_day_on_which_it_began(days: int) -> None:
    """The life of an order stays there, whenever it ends."""
    market = Recorder()
    batch = buy(ALICE, 5, 100, client_order_id=7, received_ns=days * DAY_NS + 1)
    block = seal(market.head, batch, market.engine.execute(batch), market.engine.time_ns)
    (key,) = market.fold.fold(Columns(block))
    batch = cancel(ALICE, client_order_id=7, received_ns=(days + 2) * DAY_NS)
    (again,) = market.fold.fold(Columns(seal(after(block), batch, market.engine.execute(batch), market.engine.time_ns)))
    assert key == again
    assert key.partition("/")[0] == {0: "1970.01.01", 1: "1970.01.02", 400: "1971.02.05"}[days]


def test_every_kind_of_event_is_in_the_index_or_said_not_to_be() -> None:
    """A kind that comes to be must be thought of."""
    indexed = {
        *("CommandRefused", "InstrumentListed", "InstrumentStateChanged", "FeeRatesSet", "AccountOpened", "AccountChanged"),
        *("FundsDeposited", "FundsWithdrawn", "OrderAccepted", "OrderCancelled", "OrderReduced", "OrderReplaced", "OrdersMassCancelled"),
        *("RecordUnreadable", "TradeExecuted", "OrderRemoved", "SelfTradePrevented"),
    }
    assert {kind.name for kind in EVENTS} - indexed == {"CommandRepeated", "ClockTicked", "OrderRested"}
