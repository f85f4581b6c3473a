"""What is pushed: each thing once, also over a connection that is cut again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import TypeVar

import pytest

from adapters.doors.ws import topics
from outcry.client import AsyncClient, Denied, Fired, Gap, Level2, Level3, NotFound, Own, Trades, Unavailable
from outcry.client.pushed import Channel, Market
from tests.client.venue import Relay, Venue, relayed, run
from tests.doors.house import served

T = TypeVar("T")


@pytest.fixture
def relay(venue: Venue) -> Iterator[Relay]:
    """Between a client and the WebSocket door."""
    with relayed(venue.house.ws_port) as made:
        yield made


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A venue where nothing happened yet."""
    with served(tmp_path_factory.mktemp("house")) as house:
        yield Venue(house)


@asynccontextmanager
async def following(stream: AsyncGenerator[T, None]) -> AsyncIterator[list[T]]:
    """What *stream* tells, as it does."""
    told: list[T] = []

    async def follow() -> None:
        async for each in stream:
            told.append(each)  # noqa: PERF401 # who waits for one sees it when it comes

    task = asyncio.ensure_future(follow())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.aclose()


@asynccontextmanager
async def traders(venue: Venue, relay: Relay, looks_as: str = "") -> AsyncIterator[tuple[AsyncClient, AsyncClient, AsyncClient]]:
    """alice and bob, and somebody who looks on over what can be cut."""
    async with venue.client("alice") as alice, venue.client("bob") as bob, venue.client(looks_as, ws=relay.ws) as looks:
        yield alice, bob, looks


async def until(holds: Callable[[], object]) -> None:
    """Wait until it does."""
    while not holds():  # noqa: ASYNC110 # a list has no event
        await asyncio.sleep(0.01)


async def traded(one: AsyncClient, other: AsyncClient, count: int) -> list[str]:
    """The numbers of so many trades."""
    found = []
    for _ in range(count):
        await one.order("ACME", "buy", 1, "12.00")
        found += [fill.number for fill in (await other.order("ACME", "sell", 1, "12.00")).fills]
    return found


def numbers(told: list[Market | Gap]) -> list[str]:
    return [trade.number for each in told if isinstance(each, Trades) and each.type == "update" for trade in each.trades]


def test_a_stream_begins_with_how_it_is_and_tells_each_change(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice, aclosing(alice.stream(["level2", "level3"], ["ACME"])) as stream:
            first = [await anext(stream), await anext(stream)]
            assert [(type(each), each.type) for each in first if not isinstance(each, Gap)] == [(Level2, "snapshot"), (Level3, "snapshot")]
            done = await alice.order("ACME", "buy", 3, "12.00")
            for told in [await anext(stream), await anext(stream)]:
                if isinstance(told, Level2):
                    assert [(each.price, each.quantity) for each in told.bids] == [(Decimal("12.00"), Decimal(3))]
                else:
                    assert isinstance(told, Level3)
                    assert [(each.order, each.why) for each in told.orders] == [(done.order, "rested")]

    run(given())


def test_every_channel_is_read(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client() as nobody:
            channels: tuple[Channel, ...] = ("level1", "level2", "level3", "trades", "bars", "ticker", "status")
            stream = nobody.stream(channels, ["ACME"])
            async with following(stream) as told:
                await until(lambda: len(told) >= len(channels))
                assert {type(each).__name__.lower() for each in told} == set(channels)

    run(given())


def test_a_stream_that_is_cut_again_and_again_loses_no_trade_and_doubles_none(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        async with (
            traders(venue, relay) as (alice, bob, looks),
            following(looks.stream(["trades", "level1"], ["ACME"])) as told,
        ):
            await until(lambda: told)
            made = []
            for _ in range(5):
                made += await traded(alice, bob, 8)
                relay.cut_all()
            made += await traded(alice, bob, 8)
            await until(lambda: made[-1] in numbers(told))
            assert numbers(told) == made
            assert not [each for each in told if isinstance(each, Gap)]

    run(given())


def test_a_client_that_began_anew_after_each_cut_would_lose_trades(venue: Venue, relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test before."""
    monkeypatch.setattr("outcry.client.stream._Topic.after", lambda _: {})

    async def given() -> None:
        async with (
            traders(venue, relay) as (alice, bob, looks),
            following(looks.stream(["trades"], ["ACME"])) as told,
            following(bob.stream(["trades"], ["ACME"])) as not_cut,
        ):
            await until(lambda: told and not_cut)
            relay.refuses = True
            relay.cut_all()
            missed = await traded(alice, bob, 3)
            await until(lambda: missed[-1] in numbers(not_cut))  # else the last may be told after the cut
            relay.refuses = False
            await until(lambda: len(told) > 1)
            last = await traded(alice, bob, 1)
            await until(lambda: last[0] in numbers(told))
            assert not set(missed) & set(numbers(told))

    run(given())


@pytest.mark.parametrize(("missed", "is_gap"), [(20, False), (40, True)])
def test_what_cannot_be_told_any_more_is_a_gap_unless_the_snapshot_has_it(
    fresh: Venue, monkeypatch: pytest.MonkeyPatch, missed: int, is_gap: bool
) -> None:
    """A snapshot has the last 32 trades."""
    monkeypatch.setattr(topics, "RING", 4)

    async def given() -> None:
        with relayed(fresh.house.ws_port) as relay:
            async with (
                fresh.client("alice") as alice,
                fresh.client("bob") as bob,
                fresh.client(ws=relay.ws) as looks,
                following(looks.stream(["trades"], ["ACME"])) as told,
                following(bob.stream(["trades"], ["ACME"])) as not_cut,
            ):
                await until(lambda: told and not_cut)
                made = await traded(alice, bob, 2)
                await until(lambda: numbers(told) == made)
                relay.refuses = True
                relay.cut_all()
                made += await traded(alice, bob, missed)
                await until(lambda: made[-1] in numbers(not_cut))  # else the last may be told after the snapshot
                relay.refuses = False
                await until(lambda: made[-1] in seen(told))
                found = seen(told)
                assert found == (made[:2] + made[-32:] if is_gap else made)
                assert any(isinstance(each, Gap) for each in told) is is_gap

    run(given())


def test_a_live_book_is_the_book_also_after_a_cut(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        async with venue.client("alice") as alice, venue.client(ws=relay.ws) as looks, looks.book_of("ACME") as live:
            assert (live.bids, live.asks) == ([], [])
            for place in range(4):
                await alice.order("ACME", "buy", 2, f"12.0{place}")
                await alice.order("ACME", "sell", 1, f"13.0{place}")
                if place % 2:
                    relay.cut_all()
                    await alice.cancel_all("ACME", side="buys")
            last = await alice.order("ACME", "buy", 7, "11.00")
            while live.seq < last.seq:
                await live.changed()
            book = await alice.book("ACME", levels=32, at_least=last.seq)
            assert (live.bids, live.asks) == (book.bids, book.asks)

    run(given())


def executed(told: list[Own | Gap]) -> list[str]:
    return [each.number for own in told if isinstance(own, Own) for each in own.executions]


def last_of_orders(told: list[Own | Gap]) -> dict[str, str]:
    return {each.order: each.status for own in told if isinstance(own, Own) for each in own.orders}


def test_what_happens_to_an_account_is_told_once_also_over_cuts(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        async with (
            traders(venue, relay, looks_as="alice") as (alice, bob, looks),
            following(looks.user()) as told,
        ):
            await _heard_of(alice, told)
            made, bought = [], []
            for _ in range(4):
                for _ in range(6):
                    bought.append((await alice.order("ACME", "buy", 1, "12.00")).order)
                    made += [fill.number for fill in (await bob.order("ACME", "sell", 1, "12.00")).fills]
                relay.cut_all()
            last = await alice.order("ACME", "buy", 1, "11.00")
            await until(lambda: last.order in last_of_orders(told))
            assert executed(told) == made
            seqs = [each.seq for each in told]
            assert seqs == sorted(set(seqs)), "each block once"
            states = last_of_orders(told)
            assert [states[order] for order in (*bought, last.order)] == ["filled"] * len(made) + ["open"]
            balances = {each.asset: each for own in told if isinstance(own, Own) for each in own.balances}
            assert balances["USD"] == (await alice.balances(at_least=last.seq)).of("USD")

    run(given())


def test_a_gateway_that_never_pushed_it_before_goes_on_where_another_stopped(venue: Venue, relay: Relay) -> None:
    """What a gateway can send again begins when somebody first asks there: here it is made to forget that anybody did."""

    async def given() -> None:
        async with (
            traders(venue, relay, looks_as="alice") as (alice, bob, looks),
            following(looks.user()) as own,
            following(looks.stream(["trades"], ["ACME"])) as market,
        ):
            await _heard_of(alice, own)
            await until(lambda: market)
            made = await traded(alice, bob, 3)
            for _ in range(3):
                await _both_heard(made[-1], own, market)
                relay.refuses = True
                relay.cut_all()
                venue.house.hub._topics.clear()
                made += await traded(alice, bob, 4)
                relay.refuses = False
            await _both_heard(made[-1], own, market)
            assert executed(own) == made
            assert seen(market)[-len(made) :] == made
            assert not [each for each in (*own, *market) if isinstance(each, Gap)]
            assert "snapshot" in {each.type for each in own if isinstance(each, Own)}

    run(given())


async def _both_heard(trade: str, own: list[Own | Gap], market: list[Market | Gap]) -> None:
    await until(lambda: trade in executed(own) and trade in seen(market))


def seen(told: list[Market | Gap]) -> list[str]:
    return [trade.number for each in told if isinstance(each, Trades) for trade in each.trades]


def test_what_the_venue_forgot_of_an_account_is_asked_for(fresh: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executions come once, orders and balances as they are; only executions that nobody has any more are a gap."""
    monkeypatch.setattr(topics, "RING", 4)

    async def given() -> None:
        with relayed(fresh.house.ws_port) as relay:
            async with (
                fresh.client("alice") as alice,
                fresh.client("bob") as bob,
                fresh.client("alice", ws=relay.ws) as looks,
                following(looks.user()) as told,
            ):
                await _heard_of(alice, told)
                made = await traded(alice, bob, 2)
                await until(lambda: executed(told) == made)
                for missed, is_gap in ((10, False), (130, True)):
                    relay.refuses = True
                    relay.cut_all()
                    made += await traded(alice, bob, missed)
                    relay.refuses = False
                    last = await traded(alice, bob, 1)
                    made += last
                    await until(lambda last=last: last[0] in executed(told))  # type: ignore[misc] # bound now
                    assert any(isinstance(each, Gap) for each in told) is is_gap
                    assert len(set(executed(told))) == len(executed(told))
                    if not is_gap:
                        assert executed(told) == made
                assert {each.type for each in told if isinstance(each, Own)} == {"snapshot", "update"}

    run(given())


async def _heard_of(alice: AsyncClient, told: list[Own | Gap]) -> None:
    """From now on everything is told of: an order was, and that it was cancelled."""
    while not told:
        order = (await alice.order("ACME", "buy", 1, "1.00")).order
        await alice.cancel(order)
        await asyncio.sleep(0.05)
    await until(lambda: last_of_orders(told).get(order) == "cancelled")


def test_what_alert_rules_tell_is_told_once_also_over_cuts(venue: Venue, relay: Relay) -> None:
    async def given() -> None:
        async with traders(venue, relay, looks_as="alice") as (alice, bob, looks):
            rule = await alice.add_alert("fills", symbol="ACME", text="look")
            assert rule in await alice.alert_rules()
            async with following(looks.watch_alerts()) as told:
                while not told:
                    await traded(alice, bob, 1)
                for _ in range(3):
                    before = len(told)
                    relay.cut_all()
                    await traded(alice, bob, 3)
                    await until(lambda before=before: len(told) > before)  # type: ignore[misc] # bound now
                last = (await traded(alice, bob, 1))[0]
                await until(lambda: names(told) and int(numbered(told)[-1]) >= int(last))
                remembered = [each.name for each in (await alice.alerts())[::-1]]
                assert names(told) == remembered[-len(names(told)) :]
                assert not [each for each in told if isinstance(each, Gap)]
            await alice.remove_alert(rule)
            assert rule not in await alice.alert_rules()
            with pytest.raises(NotFound):
                await alice.remove_alert(rule)

    run(given())


def names(told: list[Fired | Gap]) -> list[str]:
    return [each.name for message in told if isinstance(message, Fired) for each in message.alerts]


def numbered(told: list[Fired | Gap]) -> list[str]:
    return [each.number for message in told if isinstance(message, Fired) for each in message.alerts]


def test_a_stream_that_cannot_be_says_why(venue: Venue) -> None:
    async def given() -> None:
        async with venue.client() as nobody, venue.client(ws="ws://127.0.0.1:1/v1/ws", patience_s=0.5) as nowhere:
            with pytest.raises(NotFound):
                await anext(nobody.stream(["trades"], ["NONE"]))
            with pytest.raises(Denied):
                await anext(nobody.user())
            with pytest.raises(Unavailable):
                await anext(nowhere.stream(["trades"], ["ACME"]))

    run(given())


def test_what_is_pushed_can_be_iterated_over_without_an_event_loop(venue: Venue) -> None:
    with venue.blocking("alice") as alice, alice.book_of("ACME") as live:
        stream, own = alice.stream(["trades"], ["ACME"]), alice.user()
        assert isinstance(next(stream), Trades)
        done = alice.order("ACME", "buy", 3, "12.00")
        while live.seq < done.seq:
            live.changed()
        assert [(level.price, level.quantity) for level in live.bids] == [(Decimal("12.00"), Decimal(3))]
        assert live.asks == []
        own.close()  # type: ignore[attr-defined] # it is a generator
