"""Orders over a socket, one by one and in batches: answered by the record, and once however often the connection is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from adapters.drill.proxy import Cut
from outcry.client import Closed, Denied, Done, OutcomeUnknown, Refused, Session, Unavailable, batch
from outcry.client.batch import Outcome
from outcry.client.shapes import new_id
from tests.client.venue import Relay, Venue, relayed, run

MANY = 1_000
CUTS = [Cut.BEFORE_THE_REQUEST, Cut.BEFORE_THE_ANSWER]


@pytest.fixture
def relay(venue: Venue) -> Iterator[Relay]:
    """Between a client and the WebSocket door."""
    with relayed(venue.house.ws_port) as made:
        yield made


def test_orders_are_entered_changed_and_cancelled(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice, alice.session() as session:
            done = await session.order("ACME", "buy", 5, Decimal("12.50"), client_order_id=3)
            assert (done.status, done.resting) == ("accepted", True)
            await session.replace("ACME", done.order, price="12.40")
            await session.reduce("ACME", 2, client_order_id=3)
            found = await alice.find_order(done.order)
            assert (found.price, found.open_quantity) == (Decimal("12.40"), Decimal(3))
            await session.cancel(done.order)
            assert await alice.orders() == []
            with pytest.raises(Refused, match="unknown_order"):
                await session.cancel(done.order)

    run(given())


def test_many_orders_may_be_under_way_at_a_time(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice, alice.session() as session:
            done = await asyncio.gather(*(session.order("ACME", "buy", 1, "12.00") for _ in range(MANY)))
            assert len({each.order for each in done}) == MANY
            assert {each.order for each in await alice.orders(at_least=done[-1].seq)} == {each.order for each in done}

    run(given())


@pytest.mark.parametrize("cut", CUTS)
def test_an_order_whose_connection_is_cut_is_entered_once(venue: Venue, relay: Relay, cut: Cut) -> None:
    async def given() -> None:
        async with venue.client("alice", ws=relay.ws) as alice, alice.session() as session:
            await session.order("ACME", "buy", 1, "11.00")
            relay.cut_masked(cut)
            done = await session.order("ACME", "buy", 1, "12.00")
            assert relay.cuts == 1
            assert done.status == ("repeated" if cut is Cut.BEFORE_THE_ANSWER else "accepted")
            assert len(await alice.orders(at_least=done.seq)) == 2

    run(given())


def test_orders_under_way_when_the_connection_is_cut_again_and_again_are_entered_once(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        async with venue.client("alice", ws=relay.ws) as alice, alice.session() as session:
            tasks = []
            for place in range(20):
                tasks += [asyncio.ensure_future(session.order("ACME", "buy", 1, "12.00")) for _ in range(10)]
                await asyncio.sleep(0)
                if place % 4 == 3:
                    await tasks[-1]
                    tasks.append(asyncio.ensure_future(session.order("ACME", "buy", 1, "12.00")))
                    await asyncio.sleep(0)
                    relay.cut_all()
            done = await asyncio.gather(*tasks)
            assert len({each.order for each in done}) == len(tasks)
            assert len(await alice.orders(at_least=max(each.seq for each in done))) == len(tasks)

    run(given())


@pytest.mark.parametrize("cut", CUTS)
def test_a_batch_of_thousands_is_acknowledged_row_by_row_and_entered_once(venue: Venue, relay: Relay, cut: Cut) -> None:
    async def given() -> None:
        async with venue.client("alice", ws=relay.ws) as alice, alice.session() as session:
            acme = await alice.instrument("ACME")
            await session.order("ACME", "buy", 1, "11.00")
            for cuts in range(3):
                if cuts:
                    relay.cut_masked(cut)
                rows = [batch.new_order(acme, 1, "buy", 1, "12.00")] * MANY
                told = await session.send_batch(rows)
                again = bool(cuts) and cut is Cut.BEFORE_THE_ANSWER
                assert [each.status for each in told.outcomes] == ["repeated" if again else "accepted"] * MANY
                assert relay.cuts == cuts
                assert len(await alice.orders(at_least=told.seq)) == 1 + MANY * (cuts + 1)
                assert {each.first for each in told.outcomes} == {"accepted" if again else ""}

    run(given())


def test_each_row_of_a_batch_has_its_own_outcome(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice, alice.session() as session:
            acme = await alice.instrument("ACME")
            told = await session.send_batch(
                [
                    batch.new_order(acme, 1, "buy", 5, "12.00", client_order_id=8),
                    batch.new_order(acme, 1, "buy", 2_000_000, "12.00"),
                    batch.replace(acme, 1, client_order_id=8, price="12.10", quantity=4),
                    batch.reduce(acme, 1, 1, client_order_id=8),
                    batch.cancel(1, client_order_id=8),
                    batch.cancel_all(1, acme, "sells"),
                ]
            )
            entered, refused, *changed, swept = told.outcomes
            assert refused == Outcome("refused", rule=refused.rule)
            assert [each.order for each in (entered, *changed)] == [entered.order] * 4
            assert swept == Outcome("accepted")
            ended = {each.order: each.status for each in await alice.orders(status="ended", at_least=told.seq)}
            assert ended[str(entered.order)] == "cancelled"

    run(given())


def test_a_batch_with_a_row_of_somebody_else_is_refused_as_a_whole(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice, alice.session() as session:
            acme = await alice.instrument("ACME")
            with pytest.raises(Denied, match="row 1: account 2 is not one of yours"):
                await session.send_batch([batch.new_order(acme, account, "buy", 1, "12.00") for account in (1, 2)])
            assert await alice.orders() == []

    run(given())


def test_a_session_that_cannot_be_says_why(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client(ws="ws://127.0.0.1:1/v1/ws", patience_s=0.5) as nowhere, nowhere.session() as session:
            with pytest.raises(Unavailable):
                await session.order("ACME", "buy", 1, "12.00")

    run(given())


def test_what_nobody_can_say_is_not_guessed(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        with relayed(venue.house.port) as rest:
            async with venue.client("alice", rest=rest.http, ws=relay.ws, patience_s=1.5) as alice, alice.session() as session:
                await session.order("ACME", "buy", 1, "11.00")
                rest.refuses = True
                relay.cut_masked(Cut.BEFORE_THE_ANSWER, then_refuse=True)
                with pytest.raises(OutcomeUnknown) as unknown:
                    await session.order("ACME", "buy", 1, "12.00", command_id=new_id())
                rest.refuses = False
                assert (await alice.command(unknown.value.command_id)).status == "accepted"

    run(given())


def test_an_order_that_waits_when_its_session_is_left_is_asked_for(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice:
            async with alice.session() as session:
                await session.order("ACME", "buy", 1, "11.00")
                waits = asyncio.ensure_future(session.order("ACME", "buy", 1, "12.00"))
                await asyncio.sleep(0)
            (became,) = await asyncio.gather(waits, return_exceptions=True)
            assert isinstance(became, Done | OutcomeUnknown)
            with pytest.raises(Closed):
                await session.order("ACME", "buy", 1, "12.00")

    run(given())


def test_orders_go_with_the_connection_when_that_was_asked_for(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice:
            async with alice.session(cancel_on_disconnect=True) as session:
                await session.order("ACME", "buy", 1, "12.00")
            while await alice.orders():  # noqa: ASYNC110 # it happens elsewhere
                await asyncio.sleep(0.01)

    run(given())


def test_such_a_session_ends_with_its_connection_and_says_so(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        async with venue.client("alice", ws=relay.ws) as alice, alice.session(cancel_on_disconnect=True) as session:
            first = await session.order("ACME", "buy", 1, "11.00")
            relay.cut_masked(Cut.BEFORE_THE_ANSWER)
            second = await session.order("ACME", "buy", 1, "12.00")
            with pytest.raises(Unavailable, match="its orders went with it"):
                await session.order("ACME", "buy", 1, "13.00")
            while await alice.orders():  # noqa: ASYNC110 # it happens elsewhere
                await asyncio.sleep(0.01)
            ended = {each.order for each in await alice.orders(status="ended")}
            assert {first.order, second.order} <= ended

    run(given())


def test_a_session_works_without_an_event_loop(venue: Venue) -> None:
    with venue.blocking("alice") as alice, alice.session() as session:
        done = session.order("ACME", "buy", 1, "12.00")
        rows = [batch.cancel(1, done.order)]
        assert session.send_batch(rows).outcomes == [Outcome("accepted", order=int(done.order))]
        assert callable(Session.order)
