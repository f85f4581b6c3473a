"""The feed of the dialect: ccxt.pro, from its package, unmodified but for the URL; and message by message, as documented by Coinbase."""

from __future__ import annotations

import asyncio
import hmac
import random
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import ccxt.pro  # type: ignore[import-untyped] # ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picows import WSCloseCode, WSMsgType, ws_connect

from adapters.doors.coinbase.ids import CLIENT_ORDER, ORDER, of_uuid, to_uuid
from adapters.registry.credentials import Issued
from tests.doors.house import BY, Client, Served, served
from tests.doors.sockets import Message, Socket, run
from tests.waiting import eventually

ACME = "ACME/USD"
ID = "ACME-USD"
Exchange = Any


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One house for all tests here; each begins with an empty book."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def traders(venue: Served) -> Iterator[tuple[Client, Client]]:
    with venue.client("alice") as alice, venue.client("bob") as bob:
        yield alice, bob


@pytest.fixture
def alice(venue: Served, traders: tuple[Client, Client]) -> Client:
    for trader in traders:
        trader.delete("/v1/orders").raise_for_status()
    shown(venue)
    return traders[0]


@pytest.fixture
def bob(alice: Client, traders: tuple[Client, Client]) -> Client:
    return traders[1]


def shown(house: Served) -> None:
    """What is on record is seen by everybody."""
    eventually(lambda: house.feed.seq >= house.writer.head.seq)


def order(client: Client, side: str, quantity: int, price: str = "12.50", **terms: Any) -> str:
    """Its id."""
    said = {"symbol": "ACME", "side": side, "quantity": f"{quantity}", "price": price, **terms}
    return to_uuid(ORDER, int(client.post("/v1/orders", json=said).raise_for_status().json()["order"]))


def number(order_id: str) -> int:
    found = of_uuid(ORDER, order_id)
    assert found is not None
    return found


# -- as the client library has it ---------------------------------------------------------------------------------------


@asynccontextmanager
async def pro(house: Served, user: str) -> AsyncIterator[Exchange]:
    """The client's own class, told where we are."""
    issued = key(house, user)
    made = ccxt.pro.coinbaseexchange(
        {"apiKey": issued.key, "secret": issued.secret, "password": issued.passphrase, "enableRateLimit": False}
    )
    rest = f"{house.address}/coinbase"
    made.urls["api"] = {"public": rest, "private": rest, "ws": f"ws://127.0.0.1:{house.ws_port}/coinbase/ws"}
    try:
        await made.load_markets()
        yield made
    finally:
        await made.close()


def key(house: Served, user: str, **more: Any) -> Issued:
    return house.credentials.issue(user, BY, **{"scopes": ["read", "trade"], **more})


async def told(watching: Coroutine[Any, Any, Any], doing: Callable[[], Awaitable[Any]]) -> Any:
    """What is watched for while something is done again and again: when a subscription has begun the library does not say."""
    task = asyncio.ensure_future(watching)
    while not task.done():
        await doing()
        await asyncio.wait([task], timeout=0.1)
    return await task


def test_an_order_book_is_watched(venue: Served, alice: Client, bob: Client) -> None:
    async def test() -> None:
        async with pro(venue, "alice") as exchange:
            order(alice, "buy", 5)
            shown(venue)
            book = await exchange.watch_order_book(ACME)
            assert (book["bids"], book["asks"]) == ([[12.5, 5]], [])
            watching = asyncio.ensure_future(exchange.watch_order_book(ACME))
            await asyncio.sleep(0)  # now it listens
            await asyncio.to_thread(order, bob, "sell", 7, "12.25")
            book = await watching
            assert (book["bids"], book["asks"]) == ([], [[12.25, 2]])

    run(test())


def test_trades_are_watched_with_the_takers_side(venue: Served, alice: Client, bob: Client) -> None:
    async def trade() -> None:
        await asyncio.to_thread(order, alice, "buy", 2)
        await asyncio.to_thread(order, bob, "sell", 2, "12.25")

    async def test() -> None:
        async with pro(venue, "alice") as exchange:
            trades = await told(exchange.watch_trades(ACME), trade)
            assert [(each["side"], each["price"], each["amount"]) for each in trades[:1]] == [("sell", 12.5, 2)]
            shown(venue)
            assert trades[0]["id"] in {each["id"] for each in await exchange.fetch_trades(ACME)}

    run(test())


def test_own_orders_are_watched_from_their_entry_to_their_end(venue: Served, alice: Client) -> None:
    async def test() -> None:
        async with pro(venue, "alice") as exchange:

            async def enter() -> None:
                made = await exchange.create_order(ACME, "limit", "buy", 1, 12.5, {"clientOrderId": str(uuid4())})
                entered[made["id"]] = made["clientOrderId"]

            entered: dict[str, str] = {}
            (first, *_) = await told(exchange.watch_orders(ACME), enter)
            assert (first["status"], first["side"], first["amount"], first["remaining"]) == ("open", "buy", 1, 1)
            assert entered[first["id"]] == first["clientOrderId"]
            await exchange.cancel_order(first["id"])
            while first["status"] != "canceled":
                orders = await told(exchange.watch_orders(ACME), enter)
                first = next((each for each in orders if each["id"] == first["id"]), first)

    run(test())


def test_own_trades_are_watched_with_their_fees(venue: Served, alice: Client, bob: Client) -> None:
    async def trade() -> None:
        await asyncio.to_thread(order, alice, "buy", 2)
        await asyncio.to_thread(order, bob, "sell", 2, "12.25")

    async def test() -> None:
        async with pro(venue, "alice") as maker, pro(venue, "bob") as taker:
            (mine, *_) = await told(maker.watch_my_trades(ACME), trade)
            assert (mine["takerOrMaker"], mine["side"], mine["fee"]["rate"]) == ("maker", "buy", 0.0001)
            (mine, *_) = await told(taker.watch_my_trades(ACME), trade)
            assert (mine["takerOrMaker"], mine["side"], mine["fee"]["rate"]) == ("taker", "sell", 0.0002)

    run(test())


def test_a_ticker_is_watched(venue: Served, alice: Client, bob: Client) -> None:
    order(alice, "buy", 4)
    order(bob, "sell", 2, "12.25")
    shown(venue)

    async def test() -> None:
        async with pro(venue, "alice") as exchange:
            ticker = await exchange.watch_ticker(ACME)
            assert (ticker["last"], ticker["bid"], ticker["bidVolume"], ticker["ask"]) == (12.5, 12.5, 2, None)
            assert ticker["high"] >= 12.5 >= ticker["low"]

    run(test())


def test_whoever_signs_wrongly_is_refused_in_the_clients_words(venue: Served) -> None:
    async def test() -> None:
        async with pro(venue, "alice") as exchange:
            exchange.secret = b64encode(bytes(32)).decode()
            with pytest.raises(ccxt.AuthenticationError):
                await exchange.watch_orders(ACME)

    run(test())


# -- message by message -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def feed(house: Served) -> AsyncIterator[Socket]:
    """A connection that has asked for nothing."""
    transport, made = await ws_connect(Socket, f"ws://127.0.0.1:{house.ws_port}/coinbase/ws")
    assert isinstance(made, Socket)
    try:
        yield made
    finally:
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()
        await made.is_ended()


def signature(issued: Issued, off_s: int = 0) -> dict[str, str]:
    timestamp = f"{time.time() + off_s:.3f}"
    signed = hmac.digest(b64decode(issued.secret), f"{timestamp}GET/users/self/verify".encode(), "sha256")
    return {"key": issued.key, "passphrase": issued.passphrase, "timestamp": timestamp, "signature": b64encode(signed).decode()}


async def subscribed(socket: Socket, *channels: str, **more: Any) -> None:
    socket.say(type="subscribe", product_ids=[ID], channels=list(channels), **more)
    answer = await socket.next()
    assert answer == {"type": "subscriptions", "channels": [{"name": name, "product_ids": [ID]} for name in channels]}


def happens(house: Served, *channels: str, user: str = "", doing: Callable[[], Any]) -> list[Message]:
    """The messages about what *doing* does, up to that of an order that was entered after it."""
    found: list[Message] = []

    async def test() -> None:
        async with feed(house) as socket:
            await subscribed(socket, *channels, **(signature(key(house, user)) if user else {}))
            await asyncio.to_thread(doing)
            mark = await asyncio.to_thread(mark_made)
            while True:
                message = await socket.next()
                if message.get("order_id") == mark:
                    return
                found.append(message)

    def mark_made() -> str:
        with house.client(user or "alice") as client:
            return order(client, "buy", 1, "0.01")

    run(test())
    return found


def gist(messages: list[Message]) -> list[tuple[Any, ...]]:
    """What is said, without what differs from run to run."""
    names = ("side", "order_type", "size", "price", "remaining_size", "reason", "old_size", "new_size")
    return [(each["type"], *(each[name] for name in names if name in each)) for each in messages]


def test_an_order_is_received_then_open_then_done(venue: Served, alice: Client) -> None:
    def doing() -> None:
        made.append(order(alice, "buy", 5))
        alice.delete(f"/v1/orders/{number(made[0])}").raise_for_status()

    made: list[str] = []
    messages = happens(venue, "full", doing=doing)
    assert gist(messages) == [
        ("received", "buy", "limit", "5", "12.50"),
        ("open", "buy", "12.50", "5"),
        ("done", "buy", "12.50", "5", "canceled"),
    ]
    assert [each["order_id"] for each in messages] == made * 3
    assert {each["product_id"] for each in messages} == {ID}


def test_a_match_names_both_orders_and_who_is_filled_is_done(venue: Served, alice: Client, bob: Client) -> None:
    maker = order(alice, "buy", 2)
    second = order(alice, "buy", 3, "12.40")
    shown(venue)
    taker: list[str] = []
    messages = happens(venue, "full", doing=lambda: taker.append(order(bob, "sell", 4, "12.25")))
    assert gist(messages) == [
        ("received", "sell", "limit", "4", "12.25"),
        ("match", "buy", "2", "12.50"),
        ("done", "buy", "0", "filled"),
        ("match", "buy", "2", "12.40"),
        ("done", "sell", "0", "filled"),
    ]
    matched = [each for each in messages if each["type"] == "match"]
    assert [(each["maker_order_id"], each["taker_order_id"]) for each in matched] == [(maker, taker[0]), (second, taker[0])]
    assert [each["order_id"] for each in messages if each["type"] == "done"] == [maker, taker[0]]


def test_what_an_order_that_must_not_rest_leaves_is_canceled(venue: Served, alice: Client, bob: Client) -> None:
    order(alice, "buy", 2)
    shown(venue)
    messages = happens(venue, "full", doing=lambda: order(bob, "sell", 5, time_in_force="IOC"))
    assert gist(messages)[-2:] == [("done", "buy", "0", "filled"), ("done", "sell", "12.50", "3", "canceled")]


def test_changes_of_an_order_are_told_and_one_that_lost_its_place_is_entered_anew(venue: Served, alice: Client) -> None:
    def doing() -> None:
        for change in ({"reduce_by": "1"}, {"quantity": "3"}, {"price": "12.40"}, {"reduce_by": "3"}):
            alice.patch(f"/v1/orders/{number(made)}", json=change).raise_for_status()

    made = order(alice, "buy", 5)
    shown(venue)
    assert gist(happens(venue, "full", doing=doing)) == [
        ("change", "buy", "12.50", "modify_order", "5", "4"),
        ("change", "buy", "12.50", "modify_order", "4", "3"),
        ("done", "buy", "12.50", "3", "canceled"),
        ("received", "buy", "limit", "3", "12.40"),
        ("open", "buy", "12.40", "3"),
        ("done", "buy", "12.40", "3", "canceled"),
    ]


def test_orders_that_would_meet_their_own_are_told_of_without_a_match(venue: Served, alice: Client) -> None:
    order(alice, "buy", 5)
    shown(venue)
    messages = happens(venue, "full", doing=lambda: order(alice, "sell", 2, self_trade="decrement"))
    assert gist(messages) == [
        ("received", "sell", "limit", "2", "12.50"),
        ("change", "buy", "12.50", "STP", "5", "3"),
        ("done", "sell", "12.50", "2", "canceled"),
    ]


def test_matches_are_the_matches_of_full(venue: Served, alice: Client, bob: Client) -> None:
    def doing() -> None:
        for _ in range(3):
            order(alice, "buy", 2)
            order(bob, "sell", 2)

    async def test() -> None:
        async with feed(venue) as full, feed(venue) as matches:
            await subscribed(full, "full")
            await subscribed(matches, "matches")
            await asyncio.to_thread(doing)
            for _ in range(3):
                assert await matches.next() == await full.until(type="match")

    run(test())


def test_what_an_owner_calls_his_order_is_told_to_him_alone(venue: Served, alice: Client) -> None:
    def doing() -> None:
        order(alice, "buy", 1, client_order_id="77")
        alice.delete("/v1/orders", params={"client_order_id": "77", "symbol": "ACME"}).raise_for_status()

    for channel, user, names in (("user", "alice", [to_uuid(CLIENT_ORDER, 77)]), ("full", "", [])):
        messages = happens(venue, channel, user=user, doing=doing)
        assert [each["client_oid"] for each in messages if "client_oid" in each] == names
        assert [each["type"] for each in messages] == ["received", "open", "done"]
        assert all(("profile_id" in each) == bool(user) for each in messages)


def test_orders_of_others_are_not_told_to_a_user(venue: Served, alice: Client, bob: Client) -> None:
    messages = happens(venue, "user", user="alice", doing=lambda: order(bob, "buy", 1))
    assert messages == []


def test_sequence_numbers_rise_and_a_book_kept_from_them_is_the_book(venue: Served, alice: Client, bob: Client) -> None:
    """As the dialect's documentation tells clients: subscribe, fetch the book by orders, drop what it has seen already, apply the rest."""
    dice = random.Random(7)
    clients = (alice, bob)
    for _ in range(10):
        act(dice, clients)

    async def test() -> None:
        async with feed(venue) as socket:
            await subscribed(socket, "full")
            for _ in range(5):
                await asyncio.to_thread(act, dice, clients)
            answer = await asyncio.to_thread(alice.get, f"/coinbase/products/{ID}/book", params={"level": 3})
            snapshot = answer.raise_for_status().json()
            for _ in range(60):
                await asyncio.to_thread(act, dice, clients)
            await asyncio.to_thread(shown, venue)
            last = (await asyncio.to_thread(alice.get, f"/coinbase/products/{ID}/book", params={"level": 3})).json()
            book = {id_: (side, Decimal(price), int(size)) for side in ("bids", "asks") for price, size, id_ in snapshot[side]}
            mark = await asyncio.to_thread(order, alice, "buy", 1, "0.01")
            seen = 0
            while (message := await socket.next()).get("order_id") != mark:
                assert message["sequence"] > seen
                seen = message["sequence"]
                if seen > snapshot["sequence"]:
                    apply(book, message)
            assert seen <= last["sequence"]
            expected = {id_: (side, Decimal(price), int(size)) for side in ("bids", "asks") for price, size, id_ in last[side]}
            assert book == expected
            assert book

    run(test())


def act(dice: random.Random, clients: tuple[Client, Client]) -> None:
    """Something that a trader may do; it may be refused."""
    client, price = dice.choice(clients), f"{12 + dice.randrange(-8, 9) / 100:.2f}"
    mine = client.get("/v1/orders").raise_for_status().json()["orders"]
    choice = dice.random()
    if choice < 0.6 or not mine:
        prevents = dice.choice(["decrement", "cancel_oldest", "cancel_both"])
        terms = {"time_in_force": dice.choice(["GTC", "GTC", "GTC", "IOC"]), "self_trade": prevents}
        said = {"symbol": "ACME", "side": dice.choice(["buy", "sell"]), "quantity": f"{dice.randint(1, 9)}", "price": price, **terms}
        client.post("/v1/orders", json=said)
    elif choice < 0.75:
        client.delete(f"/v1/orders/{dice.choice(mine)['order']}")
    elif choice < 0.9:
        client.patch(f"/v1/orders/{dice.choice(mine)['order']}", json={"price": price, "quantity": f"{dice.randint(1, 9)}"})
    else:
        client.patch(f"/v1/orders/{dice.choice(mine)['order']}", json={"reduce_by": "1"})


def apply(book: dict[str, tuple[str, Decimal, int]], message: Message) -> None:
    """A message to a naive book of orders."""
    match message["type"]:
        case "open":
            side = "bids" if message["side"] == "buy" else "asks"
            book[message["order_id"]] = side, Decimal(message["price"]), int(message["remaining_size"])
        case "match":
            side, price, size = book[message["maker_order_id"]]
            book[message["maker_order_id"]] = side, price, size - int(message["size"])
        case "change" if message["order_id"] in book:
            price = Decimal(message["new_price"] if "new_price" in message else message["price"])  # one that met its owner keeps its price
            book[message["order_id"]] = book[message["order_id"]][0], price, int(message["new_size"])
        case "done":
            book.pop(message["order_id"], None)


def test_a_book_kept_from_level2_is_the_book(venue: Served, alice: Client, bob: Client) -> None:
    dice = random.Random(11)

    async def test() -> None:
        async with feed(venue) as socket:
            await subscribed(socket, "level2")
            snapshot = await socket.until(type="snapshot")
            books = {"buy": dict(snapshot["bids"]), "sell": dict(snapshot["asks"])}
            for _ in range(60):
                await asyncio.to_thread(act, dice, (alice, bob))
            await asyncio.to_thread(shown, venue)
            rest = (await asyncio.to_thread(alice.get, f"/coinbase/products/{ID}/book", params={"level": 2})).json()
            expected = {"buy": {price: size for price, size, _ in rest["bids"]}, "sell": {price: size for price, size, _ in rest["asks"]}}
            while books != expected:
                update = await socket.until(type="l2update")
                for side, price, size in update["changes"]:
                    books[side][price] = size
                    if size == "0":
                        del books[side][price]
            assert expected["buy"] or expected["sell"]

    run(test())


def test_a_heartbeat_comes_each_second_with_the_last_trade(venue: Served, alice: Client, bob: Client) -> None:
    order(alice, "buy", 1)
    order(bob, "sell", 1)
    shown(venue)
    (trade,) = alice.get(f"/coinbase/products/{ID}/trades", params={"limit": 1}).json()

    async def test() -> None:
        async with feed(venue) as socket:
            await subscribed(socket, "heartbeat")
            beats = [await socket.until(type="heartbeat") for _ in range(2)]
            assert {each["last_trade_id"] for each in beats} == {trade["trade_id"]}
            book = alice.get(f"/coinbase/products/{ID}/book").json()
            assert {each["sequence"] for each in beats} == {book["sequence"]}

    run(test())


def test_who_unsubscribes_hears_no_more(venue: Served, alice: Client) -> None:
    async def test() -> None:
        async with feed(venue) as socket:
            await subscribed(socket, "full", "matches")
            socket.say(type="unsubscribe", channels=["full"])
            assert await socket.next() == {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": [ID]}]}
            await asyncio.to_thread(order, alice, "buy", 1)
            socket.say(type="unsubscribe", channels=["matches"])
            assert await socket.next() == {"type": "subscriptions", "channels": []}

    run(test())


def test_who_may_have_missed_something_is_cut_and_of_state_gets_the_present_one(venue: Served, alice: Client) -> None:
    order(alice, "buy", 5)
    shown(venue)
    (line,), (taker,) = venue.hub._lines.values(), venue.hub.takers

    async def test() -> None:
        async with feed(venue) as full, feed(venue) as level2:
            await subscribed(full, "full")
            await subscribed(level2, "level2")
            snapshot = await level2.until(type="snapshot")
            line._loop.call_soon_threadsafe(taker.restart, line.feed.partition)
            assert "messages were lost" in (await full.until(type="cut"))["reason"]
            assert (await full.is_ended()) is not None
            assert await level2.until(type="snapshot") == snapshot

    run(test())


@pytest.mark.parametrize(
    ("said", "message", "reason"),
    [
        ({"channels": ["nonsense"]}, "Failed to subscribe", "nonsense is not a valid channel"),
        ({"channels": ["full"], "product_ids": ["NOPE-USD"]}, "Failed to subscribe", "Product not found"),
        ({"channels": ["full"], "product_ids": []}, "Failed to subscribe", "right would be product_ids beside it"),
        ({"channels": ["user"]}, "Authentication Failed", "the channel user is signed for"),
        ({"channels": ["user"], "signature": "x", "key": "nobody"}, "Authentication Failed", "the key is not known"),
        ({"type": "order", "channels": []}, "Malformed message", "order"),
        ({"channels": [{"name": "full", "product_ids": ["ACME-USD"] * 2_000}]}, "Malformed message", "length"),
    ],
)
def test_what_cannot_be_subscribed_to_is_told_and_the_connection_goes_on(venue: Served, said: Any, message: str, reason: str) -> None:
    async def test() -> None:
        async with feed(venue) as socket:
            socket.say(**{"type": "subscribe", "product_ids": [ID], **said})
            answer = await socket.next()
            assert (answer["type"], answer["message"]) == ("error", message)
            assert reason in answer["reason"]
            await subscribed(socket, "matches")

    run(test())


@pytest.mark.parametrize("off_s", [-40, 40])
def test_a_signature_of_another_time_is_refused(venue: Served, off_s: int) -> None:
    async def test() -> None:
        async with feed(venue) as socket:
            socket.say(type="subscribe", product_ids=[ID], channels=["user"], **signature(key(venue, "alice"), off_s))
            answer = await socket.next()
            assert (answer["message"], "by our clock" in answer["reason"]) == ("Authentication Failed", True)

    run(test())


@settings(max_examples=60, deadline=None)
@given(payload=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), is_text=st.booleans())
def test_whatever_is_said_is_answered_or_the_connection_is_ended(venue: Served, payload: bytes, is_text: bool) -> None:
    async def test() -> None:
        async with feed(venue) as socket:
            socket.transport.send(WSMsgType.TEXT if is_text else WSMsgType.BINARY, payload)
            ended = asyncio.ensure_future(socket.is_ended())
            answered = asyncio.ensure_future(socket.next())
            await asyncio.wait([ended, answered], return_when=asyncio.FIRST_COMPLETED)
            assert ended.done() or (await answered)["type"] in {"error", "subscriptions", "cut"}
            for each in (ended, answered):
                each.cancel()

    run(test())
