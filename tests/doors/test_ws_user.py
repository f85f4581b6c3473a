"""What an account is told of: exactly once per block, also across connections; and what becomes of its orders when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.doors.ws.topics import RING
from tests.doors.house import Served, served
from tests.doors.sockets import Message, Socket, connected, run
from tests.doors.test_ws import BUY, SELL, cleared, key


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here: each begins with an empty book."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made
        run(cleared(made))


async def watching(socket: Socket, house: Served, **more: Any) -> Socket:
    await socket.logged_in(key(house, "alice"))
    await socket.done(op="subscribe", channels=["user"], **more)
    return socket


def test_an_account_is_told_what_each_block_did_for_it(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as one, connected(house) as other, connected(house) as looks:
            await watching(looks, house)
            await one.logged_in(key(house, "alice"))
            await other.logged_in(key(house, "bob"))
            entered = await one.done(**BUY)
            told = await looks.until(channel="user", seq=entered["seq"])
            assert [(order["order"], order["status"], order["open_quantity"]) for order in told["orders"]] == [
                (entered["order"], "open", "5")
            ]
            assert [balance["asset"] for balance in told["balances"]] == ["USD"]
            met = await other.done(**{**SELL, "quantity": "2"})
            told = await looks.until(channel="user")
            assert (told["seq"], told["account"]) == (met["seq"], 1)
            assert [(each["order"], each["liquidity"], each["side"], each["quantity"]) for each in told["executions"]] == [
                (entered["order"], "maker", "buy", "2")
            ]
            assert told["executions"][0]["number"] == met["fills"][0]["number"]
            await one.done(op="cancel", order=entered["order"])
            told = await looks.until(channel="user")
            assert [order["status"] for order in told["orders"]] == ["cancelled"]

    run(given())


def test_nobody_is_told_of_others_accounts(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as looks, connected(house) as other:
            await watching(looks, house)
            await other.logged_in(key(house, "bob"))
            await other.done(**{**SELL, "price": "99.00"})
            await other.done(op="mass_cancel")
            looks.say(op="ping", id="now")
            assert (await looks.next())["type"] == "pong"

    run(given())


def test_whoever_comes_back_is_told_every_block_once(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runs.RUN_EVENTS", 1)

    async def given() -> None:
        async with connected(house) as trades:
            await trades.logged_in(key(house, "alice"))
            sent = [int((await trades.done(**BUY))["seq"])]
            while house.feed.seq < sent[0]:  # noqa: ASYNC110 # else he is told of it, who listens after it
                await asyncio.sleep(0.001)
            async with connected(house) as looks:
                await watching(looks, house)
                sent.append((await trades.done(**BUY))["seq"])
                seen = [(await looks.until(channel="user"))["seq"]]
            sent += [(await trades.done(**BUY))["seq"] for _ in range(5)]
            async with connected(house) as looks:
                await watching(looks, house, **{"from": {"1": seen[-1]}})
                sent.append((await trades.done(**BUY))["seq"])
                while seen[-1] < sent[-1]:
                    seen.append((await looks.until(channel="user"))["seq"])
            await trades.done(op="mass_cancel")
        assert seen == sent[1:]

    run(given())


def test_who_was_away_too_long_is_told_of_a_gap(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runs.RUN_EVENTS", 1)

    async def given() -> None:
        async with connected(house) as trades, connected(house) as looks:
            await watching(trades, house)
            await trades.done(op="unsubscribe", channels=["user"])
            for _ in range(RING // 2 + 1):
                await trades.done(**BUY)
                await trades.done(op="mass_cancel")
            last = house.feed.seq
            await watching(looks, house, **{"from": {"1": last - RING - 2}})
            gap = await looks.until(type="gap")
            assert (gap["channel"], gap["partition"], gap["after"]) == ("user", 1, last - RING - 2)

    run(given())


def test_orders_go_with_the_connection_for_who_chose_it(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as looks:
            await watching(looks, house)
            async with connected(house) as goes:
                await goes.logged_in(key(house, "alice"), cancel_on_disconnect=True)
                entered = [(await goes.done(**BUY))["order"] for _ in range(3)]
            ended: Message = {}
            while not set(entered) <= ended.keys():
                told = await looks.until(channel="user")
                ended |= {order["order"]: order["reason"] for order in told["orders"] if order["status"] == "removed"}
            assert {ended[order] for order in entered} == {"mass_cancel"}

    run(given())


def test_orders_stay_when_nothing_was_chosen(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as goes:
            await goes.logged_in(key(house, "alice"))
            entered = await goes.done(**BUY)
        async with connected(house) as comes:
            await comes.logged_in(key(house, "alice"))
            await asyncio.sleep(0.1)
            assert (await comes.done(op="cancel", order=entered["order"]))["status"] == "accepted"

    run(given())
