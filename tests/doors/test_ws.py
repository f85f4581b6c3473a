"""Market data and orders over a WebSocket, against a served house."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from adapters.doors.limits import Buckets, Rate
from adapters.registry.credentials import Issued
from tests.doors.house import BY, Served, served
from tests.doors.sockets import Message, Socket, connected, run, signed

BUY = {"op": "order", "symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
SELL = {**BUY, "side": "sell"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here: each begins with an empty book."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def alice(house: Served) -> Iterator[Issued]:
    yield key(house, "alice")
    run(cleared(house))


@pytest.fixture
def bob(house: Served, alice: Issued) -> Issued:
    return key(house, "bob")


def key(house: Served, user: str, **more: Any) -> Issued:
    return house.credentials.issue(user, BY, **{"scopes": ["read", "trade"], **more})


async def cleared(house: Served) -> None:
    for user in ("alice", "bob"):
        async with connected(house) as socket:
            await socket.logged_in(key(house, user))
            await socket.done(op="mass_cancel")


def test_a_message_that_comes_too_often_is_told_so_by_its_id(house: Served, alice: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(alice)
            monkeypatch.setattr(house.house, "by_caller", Buckets(Rate(per_s=0.01, burst=1)))
            await socket.asks(op="ping")
            assert (await socket.problem(**BUY))["status"] == 429

    run(given())


def test_the_same_mass_cancel_sent_again_takes_nothing_more(house: Served, alice: Issued) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(alice)
            for status in ("accepted", "repeated"):
                await socket.done(**BUY)
                assert (await socket.done(op="mass_cancel", command_id="78"))["status"] == status

    run(given())


def test_an_order_is_on_record_when_it_is_answered(house: Served, alice: Issued) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(alice)
            done = await socket.done(**BUY, command_id="77")
            assert (done["status"], done["resting"], done["verb"]) == ("accepted", True, "NewOrder")
            again = await socket.done(**BUY, command_id="77")
            assert (again["status"], again["order"]) == ("repeated", done["order"])
            assert house.feed.seq <= house.writer.head.seq >= done["seq"]

    run(given())


def test_who_is_nobody_may_look_and_not_trade(house: Served, alice: Issued) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            assert (await socket.next())["user"] == ""
            assert (await socket.problem(**BUY))["status"] == 401
            assert (await socket.problem(op="subscribe", channels=["user"]))["status"] == 401
            await socket.done(op="subscribe", channels=["level1"], symbols=["ACME"])

    run(given())


def test_the_handshake_may_say_who_it_is(house: Served, alice: Issued) -> None:
    async def given() -> None:
        words = {f"Outcry_{name.title()}": value for name, value in signed(alice).items()}
        async with connected(house, **words) as socket:
            welcome = await socket.next()
            assert (welcome["user"], welcome["accounts"]) == ("alice", [1])

    run(given())


def test_level_one_tells_the_best_prices_and_their_changes(house: Served, alice: Issued) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(alice)
            await socket.done(op="subscribe", channels=["level1"], symbols=["ACME"])
            first = await socket.until(channel="level1")
            assert (first["type"], first["bid"][1]) == ("snapshot", "0")
            done = await socket.done(**BUY)
            update = await socket.until(channel="level1")
            assert (update["type"], update["bid"], update["seq"]) == ("update", ["12.50", "5", 1], done["seq"])
            assert update["previous"] == first["seq"]

    run(given())


@pytest.mark.parametrize("form", ["", "outcry.json", "outcry.msgpack"])
def test_a_client_side_book_is_that_of_rest_whatever_the_form(house: Served, alice: Issued, bob: Issued, form: str) -> None:
    dice = random.Random(7)

    async def given() -> None:
        agreed = {"Sec_WebSocket_Protocol": form} if form else {"Sec_WebSocket_Extensions": "permessage-deflate"}
        async with connected(house, **agreed) as looks, connected(house) as one, connected(house) as other:
            await one.logged_in(alice)
            await other.logged_in(bob)
            looks.say(op="subscribe", channels=["level2", "level3", "trades"], symbols=["ACME"])
            orders: list[str] = []
            for _ in range(150):
                socket = dice.choice([one, other])
                if orders and dice.random() < 0.3:
                    await socket.asks(op="cancel", order=dice.choice(orders))
                else:
                    price = f"{12 + dice.randint(-5, 5) / 100:.2f}"
                    answer = await socket.done(
                        **{**BUY, "side": dice.choice(["buy", "sell"]), "price": price, "quantity": str(dice.randint(1, 9))}
                    )
                    orders.append(answer["order"])
            last = (await one.done(**{**BUY, "price": "1.00", "quantity": "1"}))["seq"]
            book, orders_seen, trades = await book_until(looks, last)
            with house.client() as nobody:
                shown = nobody.get("/v1/instruments/ACME/book", params={"levels": 32, "at_least": last}).json()
                tape = nobody.get("/v1/instruments/ACME/trades", params={"at_least": last}).json()["trades"]
            for side in ("bids", "asks"):
                assert sorted(book[side].items()) == sorted((Decimal(each["price"]), each["quantity"]) for each in shown[side])
                summed = Counter[Decimal]()
                for order_side, price, quantity in orders_seen.values():
                    if order_side == side:
                        summed[Decimal(price)] += int(quantity)
                assert {price: str(quantity) for price, quantity in summed.items()} == book[side]
            assert trades[-32:] == tape[::-1]

    run(given())


Book = dict[str, dict[Decimal, str]]
Orders = dict[str, tuple[str, str, str]]


async def book_until(socket: Socket, seq: int) -> tuple[Book, Orders, list[Message]]:
    """Levels, orders and trades as a client keeps them, as of block *seq*; that nothing is missing is checked on the way."""
    book: Book = {"bids": {}, "asks": {}}
    orders: Orders = {}
    trades: list[Message] = []
    last: dict[str, int] = {}
    while last.get("level2", 0) < seq or last.get("level3", 0) < seq:
        message = await socket.until(symbol="ACME")
        channel = message["channel"]
        assert message["type"] == "snapshot" or message["previous"] == last[channel]
        last[channel] = message["seq"]
        if channel == "trades":
            trades += message["trades"]
        elif channel == "level3":
            for order, side, price, quantity, _ in message["orders"]:
                orders[order] = ("bids" if side == "buy" else "asks"), price, quantity
                if quantity == "0":
                    del orders[order]
        else:
            for side, levels in book.items():
                levels.update((Decimal(price), quantity) for price, quantity, _ in message[side])
                for gone in [price for price, quantity in levels.items() if quantity == "0"]:
                    del levels[gone]
    return book, orders, trades
