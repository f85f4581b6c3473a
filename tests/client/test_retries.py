"""What is sent again is done once; and what nobody can say is not guessed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest

from adapters.doors.limits import Buckets, Rate
from adapters.drill.proxy import Cut
from outcry.client import AsyncClient, Done, NewOrder, OutcomeUnknown, Refused, Unavailable
from outcry.client.rest import Method, Query, Rest
from outcry.client.shapes import new_id
from tests.client.venue import Relay, Venue, relayed, run

T = TypeVar("T")
BRIEF_S = 1.5
CUTS = [Cut.BEFORE_THE_REQUEST, Cut.BEFORE_THE_ANSWER]


@pytest.fixture
def relay(venue: Venue) -> Iterator[Relay]:
    """Between a client and REST."""
    with relayed(venue.house.port) as made:
        yield made


@pytest.mark.parametrize("cut", CUTS)
def test_an_order_whose_connection_is_cut_is_entered_once(venue: Venue, relay: Relay, cut: Cut) -> None:
    async def given() -> None:
        async with venue.client("alice", rest=relay.http) as alice:
            await alice.instruments()
            name = new_id()
            relay.cut(cut, name.encode())
            done = await alice.order("ACME", "buy", 1, "12.00", command_id=name)
            assert relay.cuts == 1
            assert done.status == ("repeated" if cut is Cut.BEFORE_THE_ANSWER else "accepted")
            assert [each.order for each in await alice.orders()] == [done.order]

    run(given())


def test_a_client_that_named_each_try_anew_would_double_the_order(venue: Venue, relay: Relay) -> None:
    """The negative control of the test before: what the command id is for."""

    class Forgetful(Rest):
        async def _once(self, method: Method, path: str, query: Query, body: object, kind: type[T]) -> T:
            if isinstance(body, NewOrder):
                body.command_id = new_id()
            return await super()._once(method, path, query, body, kind)

    async def given() -> None:
        async with venue.client("alice", rest=relay.http) as alice:
            alice._rest = Forgetful(relay.http, venue.credentials("alice"), patience_s=20, timeout_s=10, tls=None)
            relay.cut(Cut.BEFORE_THE_ANSWER, b'"symbol":"ACME"')
            await alice.order("ACME", "buy", 1, "12.00")
            assert (relay.cuts, len(await alice.orders())) == (1, 2)

    run(given())


@pytest.mark.parametrize("cut", CUTS)
def test_other_commands_whose_connection_is_cut_are_done_once(venue: Venue, relay: Relay, cut: Cut) -> None:
    async def given() -> None:
        async with venue.client("alice", rest=relay.http) as alice:
            order = (await alice.order("ACME", "buy", 9, "12.00", client_order_id=1)).order
            relay.cut(cut, b"PATCH")
            await alice.reduce(order, 2)
            assert (await alice.find_order(order)).open_quantity == 7
            before = (await alice.balances()).of("USD").available
            relay.cut(cut, b"POST /v1/deposits")
            done = await alice.deposit("USD", 10)
            assert (await alice.balances(at_least=done.seq)).of("USD").available - before == 10
            relay.cut(cut, b"DELETE")
            assert (await alice.cancel(client_order_id=1, symbol="ACME")).verb == "CancelOrder"
            assert (relay.cuts, await alice.orders()) == (3, [])

    run(given())


@pytest.mark.parametrize("cut", CUTS)
def test_a_batch_whose_connection_is_cut_is_entered_once(venue: Venue, relay: Relay, cut: Cut) -> None:
    async def given() -> None:
        async with venue.client("alice", rest=relay.http) as alice:
            relay.cut(cut, b"/v1/orders/batch")
            told = await alice.batch([NewOrder("ACME", "buy", 1, "12.00") for _ in range(50)])
            assert {each.order for each in told if isinstance(each, Done)} == {each.order for each in await alice.orders()}
            assert (relay.cuts, len(await alice.orders())) == (1, 50)

    run(given())


class Deaf(Relay):
    """No answer to any request with *mark* comes back."""

    mark = b"POST /v1/orders"

    def fate(self, request: bytes) -> Cut | None:
        """See Proxy."""
        return Cut.BEFORE_THE_ANSWER if self.mark in request else None


def test_a_client_that_hears_no_answer_asks_what_became_of_its_command(venue: Venue) -> None:
    async def given() -> None:
        with Deaf(venue.house.port) as deaf:
            async with venue.client("alice", rest=deaf.http, patience_s=BRIEF_S) as alice:
                done = await alice.order("ACME", "buy", 1, "12.00")
                assert (done.status, done.verb) == ("repeated", "NewOrder")
                assert [each.order for each in await alice.orders()] == [done.order]
                with pytest.raises(Refused) as refused:
                    await alice.order("ACME", "buy", 2_000_000, "12.00")
                assert (refused.value.rule, refused.value.limit, refused.value.observed) == ("max_quantity", 1_000_000, 2_000_000)
                deaf.mark = b"DELETE /v1/orders?"
                await alice.order("ACME", "buy", 1, "12.00", client_order_id=4)
                assert (await alice.cancel(client_order_id=4, symbol="ACME")).verb == "CancelOrder"

    run(given())


class DeafAfter(Deaf):
    """Once a request was not answered, nothing goes through any more."""

    def fate(self, request: bytes) -> Cut | None:
        """See Proxy."""
        found = super().fate(request)
        self.refuses |= found is not None
        return found


def test_what_nobody_can_say_is_not_guessed(venue: Venue) -> None:
    async def given() -> None:
        with DeafAfter(venue.house.port) as deaf:
            async with venue.client("alice", rest=deaf.http, patience_s=BRIEF_S) as alice:
                with pytest.raises(OutcomeUnknown) as unknown:
                    await alice.order("ACME", "buy", 1, "12.00")
                deaf.refuses = False
                found = await alice.command(unknown.value.command_id)
                assert found.status == "accepted"
                assert [each.order for each in await alice.orders()] == [found.order]

    run(given())


def test_what_was_never_sent_was_not_done_and_that_is_said(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice", rest=f"http://127.0.0.1:{_closed_port()}", patience_s=BRIEF_S) as alice:
            with pytest.raises(Unavailable, match="ConnectError"):
                await alice.order("ACME", "buy", 1, "12.00")
            with pytest.raises(Unavailable, match="ConnectError"):
                await alice.instruments()

    run(given())


def test_who_asks_too_often_waits_as_long_as_he_is_told(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    async def given() -> None:
        house = venue.house.house
        async with venue.client("alice") as alice, venue.client("alice", patience_s=0) as hasty:
            monkeypatch.setattr(house, "by_caller", Buckets(Rate(per_s=1, burst=2)))
            orders = {(await alice.order("ACME", "buy", 1, "12.00")).order for _ in range(4)}
            with pytest.raises(Unavailable) as often:
                await _often(hasty)
            assert often.value.status == 429
            monkeypatch.undo()
            assert {each.order for each in await alice.orders()} == orders

    run(given())


async def _often(client: AsyncClient) -> None:
    for _ in range(4):
        await client.me()


def _closed_port() -> int:
    """That nobody listens at."""
    with relayed(1) as made:
        return made.port


@pytest.mark.parametrize("cut", CUTS)
def test_what_has_no_command_id_is_not_sent_again_unless_it_was_not_done(venue: Venue, relay: Relay, cut: Cut) -> None:
    async def given() -> None:
        async with venue.client("alice", rest=relay.http) as alice:
            before = len(await alice.alert_rules())
            relay.cut(cut, b"POST /v1/alerts")
            with pytest.raises(OutcomeUnknown) as unknown:
                await alice.add_alert("fills")
            assert unknown.value.command_id == ""
            assert len(await alice.alert_rules()) - before == (cut is Cut.BEFORE_THE_ANSWER)

    run(given())
