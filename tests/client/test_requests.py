"""What a client asks for and commands, with an event loop and without: each test is run both ways."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

import pytest

from outcry.client import AsyncClient, Client, Denied, Done, NewOrder, NotFound, Refused, TooLate
from outcry.client.shapes import new_id
from tests.client.venue import Venue


class Looped:
    """An AsyncClient, of which every method is run to its end."""

    def __init__(self, runner: asyncio.Runner, client: AsyncClient) -> None:
        self._runner, self._client = runner, client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


@contextmanager
def looped(venue: Venue, user: str) -> Iterator[Client]:
    with asyncio.Runner() as runner:
        client = Looped(runner, venue.client(user))
        yield cast("Client", client)
        client.close()


@contextmanager
def blocking(venue: Venue, user: str) -> Iterator[Client]:
    with venue.blocking(user) as client:
        yield client


@pytest.fixture(params=[looped, blocking])
def alice(venue: Venue, request: pytest.FixtureRequest) -> Iterator[Client]:
    with request.param(venue, "alice") as client:
        yield client


@pytest.fixture
def bob(venue: Venue) -> Iterator[Client]:
    with blocking(venue, "bob") as client:
        yield client


def test_who_has_no_event_loop_has_every_method_of_who_has_one() -> None:
    def public(kind: type) -> dict[str, object]:
        found = {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}
        return {name: inspect.signature(getattr(kind, name)).parameters.keys() - {"self"} for name in found}

    assert public(Client) == public(AsyncClient)


def test_an_order_is_on_record_when_it_returns(alice: Client) -> None:
    done = alice.order("ACME", "buy", "5", Decimal("12.50"), client_order_id=7)
    assert (done.status, done.resting, done.fills, done.partition) == ("accepted", True, [], 1)
    (order,) = alice.orders(at_least=done.seq)
    assert (order.order, order.client_order_id, order.price, order.open_quantity, order.status, order.average_price) == (
        done.order,
        "7",
        Decimal("12.50"),
        Decimal(5),
        "open",
        None,
    )
    assert alice.find_order(done.order) == order


def test_a_trade_is_told_of_to_both_and_to_everybody(alice: Client, bob: Client) -> None:
    rests = alice.order("ACME", "buy", 5, "12.50")
    done = bob.order("ACME", "sell", 2, "12.40")
    (fill,) = done.fills
    assert (fill.price, fill.quantity, fill.maker_order) == (Decimal("12.50"), Decimal(2), rests.order)
    mine, theirs = alice.executions(at_least=done.seq)[0], bob.executions(at_least=done.seq)[0]
    assert (mine.number, mine.liquidity, mine.side) == (fill.number, "maker", "buy")
    assert (theirs.number, theirs.liquidity, theirs.fee) == (fill.number, "taker", fill.fee)
    assert alice.trades("ACME", at_least=done.seq)[0].number == fill.number
    assert alice.bars("ACME", at_least=done.seq)[-1].close == fill.price
    day = alice.statistics("ACME")
    assert day is not None and day.close == fill.price
    assert alice.find_order(rests.order, at_least=done.seq).average_price == fill.price
    assert {line.number for line in alice.statement(at_least=done.seq)} >= {fill.number}


def test_an_order_is_replaced_reduced_and_cancelled(alice: Client) -> None:
    order = alice.order("ACME", "buy", 5, "12.50").order
    alice.replace(order, price="12.40", quantity=4, new_client_order_id=9)
    alice.reduce(order, 1)
    found = alice.find_order(order)
    assert (found.price, found.open_quantity, found.client_order_id) == (Decimal("12.40"), Decimal(3), "9")
    alice.cancel(client_order_id=9, symbol="ACME")
    assert alice.find_order(order).status == "cancelled"
    other = alice.order("ACME", "buy", 5, "12.50").order
    done = alice.cancel(other)
    assert {each.order for each in alice.orders(status="ended", at_least=done.seq)} >= {order, other}


def test_all_orders_of_a_side_are_cancelled_at_once(alice: Client) -> None:
    for price in ("12.00", "12.10"):
        alice.order("ACME", "buy", 1, price)
    sells = alice.order("ACME", "sell", 1, "13.00").order
    (done,) = alice.cancel_all("ACME", side="buys")
    assert [each.order for each in alice.orders(at_least=done.seq)] == [sells]


def test_a_book_has_levels_best_first(alice: Client) -> None:
    alice.order("ACME", "buy", 1, "12.00")
    done = alice.order("ACME", "buy", 1, "12.10")
    book = alice.book("ACME", levels=1, at_least=done.seq)
    assert [(level.price, level.quantity, level.orders) for level in book.bids] == [(Decimal("12.10"), Decimal(1), 1)]
    assert book.asks == [] and book.as_of.seq >= done.seq


def test_each_order_of_a_batch_has_its_own_outcome(alice: Client) -> None:
    first, second, third = alice.batch(
        [NewOrder("ACME", "buy", 1, "12.00"), NewOrder("ACME", "buy", 10**6, "99.00"), NewOrder("NONE", "buy", 1, "1.00")]
    )
    assert isinstance(first, Done) and first.resting
    assert isinstance(second, Refused) and second.rule == "insufficient_funds"
    assert isinstance(third, NotFound)


def test_funds_come_go_and_are_held(alice: Client) -> None:
    before = alice.balances().of("USD")
    alice.deposit("USD", "10.50")
    alice.withdraw("USD", "0.50")
    done = alice.order("ACME", "buy", 1, "5.00")
    after = alice.balances(at_least=done.seq).of("USD")
    assert after.available + after.held - before.available - before.held == Decimal(10)
    assert after.held - before.held >= Decimal(5)


def test_a_rule_that_refuses_is_named_with_what_it_allows_and_saw(alice: Client) -> None:
    with pytest.raises(Refused) as refused:
        alice.order("ACME", "buy", 2_000_000, "12.50")
    assert (refused.value.rule, refused.value.limit, refused.value.observed) == ("max_quantity", 1_000_000, 2_000_000)
    found = alice.command(refused.value.command_id)
    assert (found.status, found.rule) == ("refused", "max_quantity")


def test_a_command_may_be_asked_for_by_the_id_that_it_was_given(alice: Client) -> None:
    name, other = new_id(), new_id()
    done = alice.order("ACME", "buy", 1, "12.00", command_id=name)
    found = alice.command(name)
    assert (found.status, found.order, found.seq) == ("accepted", done.order, done.seq)
    assert alice.command(other).status == "unknown"


def test_the_same_command_id_again_is_the_same_command(alice: Client) -> None:
    name = int(new_id())
    first = alice.order("ACME", "buy", 1, "12.00", command_id=name)
    again = alice.order("ACME", "buy", 1, "12.00", command_id=name)
    assert (again.status, again.order) == ("repeated", first.order)
    assert len(alice.orders(at_least=again.seq)) == 1


def test_a_market_order_spends_no_more_than_its_budget(alice: Client, bob: Client) -> None:
    bob.order("ACME", "sell", 5, "12.00")
    done = alice.order("ACME", "buy", 5, budget="25.00")
    assert [fill.quantity for fill in done.fills] == [Decimal(2)]


def test_what_is_listed_and_who_asks_can_be_asked(alice: Client) -> None:
    (listed,) = alice.instruments()
    assert listed == alice.instrument("ACME")
    assert (listed.tick_size, listed.lot_size, listed.state) == (Decimal("0.01"), Decimal(1), "open")
    me = alice.me()
    assert (me.user, [each.account for each in me.accounts]) == ("alice", [1])
    assert alice.time() > 10**18


def test_what_is_not_there_and_what_is_not_allowed_are_told_apart(alice: Client) -> None:
    with pytest.raises(NotFound, match="'A\\?B#' is listed"):
        alice.book("A?B#")
    with pytest.raises(Denied):
        alice.balances(account=2)


def test_nobody_in_particular_sees_what_anybody_may_see(venue: Venue) -> None:
    with venue.blocking() as nobody:
        assert nobody.instruments()
        with pytest.raises(Denied):
            nobody.balances()


def test_a_float_is_no_price(alice: Client) -> None:
    with pytest.raises(TypeError, match=r"12\.5 is a float"):
        alice.order("ACME", "buy", 1, 12.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is no number"):
        alice.order("ACME", "buy", "one", "12.50")
    assert alice.orders() == []


def test_a_deadline_that_passed_says_so(venue: Venue, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.doors.rest.orders.deadline_of", lambda deadline_ms: 1.0 if deadline_ms else float("inf"))
    with pytest.raises(TooLate):
        alice.order("ACME", "buy", 1, "12.50", deadline_ms=1)
    assert alice.orders() == []
