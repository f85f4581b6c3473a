"""The dialect as ccxt speaks it: its `coinbaseexchange`, from its package, unmodified but for the URL."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import ccxt  # type: ignore[import-untyped] # ships no types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.doors.coinbase.ids import ORDER, BadId, client_order_id, of_uuid, to_uuid
from adapters.doors.limits import Buckets, Rate
from commands.outcomes import of_command_id
from tests.doors.house import BY, Served, served
from tests.waiting import eventually

ACME = "ACME/USD"
DIALECTS = Path(__file__).parents[2] / "docs" / "dialects.md"
Exchange = Any


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One house for all tests here; each begins with an empty book."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


def exchange(house: Served, user: str = "", **key: Any) -> Exchange:
    """The client's own class, told where we are."""
    secrets: dict[str, Any] = {}
    if user:
        issued = house.credentials.issue(user, BY, **{"scopes": ["read", "trade", "fund"], **key})
        secrets = {"apiKey": issued.key, "secret": issued.secret, "password": issued.passphrase}
    made = ccxt.coinbaseexchange({**secrets, "enableRateLimit": False})
    made.urls["api"] = {"public": f"{house.address}/coinbase", "private": f"{house.address}/coinbase"}
    return made


@pytest.fixture(scope="module")
def traders(venue: Served) -> tuple[Exchange, Exchange]:
    alice, bob = exchange(venue, "alice"), exchange(venue, "bob")
    for each in (alice, bob):
        each.load_markets()
    return alice, bob


@pytest.fixture
def alice(traders: tuple[Exchange, Exchange], bob: Exchange) -> Exchange:
    traders[0].cancel_all_orders(params={"client_oid": str(uuid4())})
    return traders[0]


@pytest.fixture
def bob(traders: tuple[Exchange, Exchange]) -> Exchange:
    traders[1].cancel_all_orders(params={"client_oid": str(uuid4())})
    return traders[1]


def order(client: Exchange, side: str, size: float, price: float, **params: Any) -> Any:
    """A limit order. Orders alike within one second need a name of their own (signing.py)."""
    return client.create_order(ACME, "limit", side, size, price, {"clientOrderId": str(uuid4()), **params})


def shown(house: Served) -> None:
    """What is on record is seen by everybody."""
    eventually(lambda: house.feed.seq >= house.writer.head.seq)


# -- what is traded -----------------------------------------------------------------------------------------------------


def test_markets_are_loaded_with_their_precision(venue: Served) -> None:
    market = exchange(venue).load_markets()[ACME]
    assert (market["id"], market["active"], market["spot"]) == ("ACME-USD", True, True)
    assert market["precision"] == {"amount": 1.0, "price": 0.01}


def test_currencies_and_time_are_told(venue: Served) -> None:
    nobody = exchange(venue)
    assert {code: each["precision"] for code, each in nobody.fetch_currencies().items()} == {"USD": 0.01, "ACME": 1.0}
    assert abs(nobody.fetch_time() - time.time() * 1_000) < 60_000


def test_the_book_is_seen_by_levels_and_by_orders(venue: Served, alice: Exchange, bob: Exchange) -> None:
    first = order(alice, "buy", 5, 12.50)
    order(alice, "buy", 2, 12.50)
    order(alice, "buy", 1, 12.40)
    order(bob, "sell", 3, 13)
    shown(venue)
    book = alice.fetch_order_book(ACME)
    assert (book["bids"], book["asks"]) == ([[12.5, 7, 2], [12.4, 1, 1]], [[13, 3, 1]])
    best = alice.public_get_products_id_book({"id": "ACME-USD", "level": 1})
    assert (best["bids"], best["asks"]) == ([["12.50", "7", 2]], [["13.00", "3", 1]])
    orders = alice.public_get_products_id_book({"id": "ACME-USD", "level": 3})
    assert orders["bids"][0] == ["12.50", "5", first["id"]]
    assert len(orders["bids"]) == 3


def test_a_trade_is_seen_in_trades_candles_ticker_and_statistics(venue: Served, alice: Exchange, bob: Exchange) -> None:
    order(alice, "buy", 5, 12.50)
    order(bob, "sell", 2, 12.25)
    shown(venue)
    last = alice.fetch_trades(ACME)[-1]
    assert (last["price"], last["amount"], last["side"], last["cost"]) == (12.5, 2, "sell", 25)
    assert int(last["id"]) < 2**53  # exact where numbers are floats
    for timeframe in ("1m", "15m", "6h", "1d"):
        start, *_, close, volume = alice.fetch_ohlcv(ACME, timeframe)[-1]
        assert start % (alice.timeframes[timeframe] * 1_000) == 0
        assert close == 12.5
        assert volume >= 2
    ticker = alice.fetch_ticker(ACME)
    assert (ticker["last"], ticker["bid"], ticker["ask"]) == (12.5, 12.5, None)
    assert alice.fetch_tickers()[ACME]["last"] == 12.5
    stats = alice.public_get_products_id_stats({"id": "ACME-USD"})
    assert (stats["last"], float(stats["volume"])) == ("12.50", ticker["baseVolume"])


def test_candles_are_those_that_were_asked_for(venue: Served, alice: Exchange, bob: Exchange) -> None:
    order(alice, "buy", 1, 12.50)
    order(bob, "sell", 1, 12.50)
    shown(venue)
    now = int(time.time() * 1_000)
    assert alice.fetch_ohlcv(ACME, "1d", since=now - 5 * 86_400_000)
    assert alice.fetch_ohlcv(ACME, "1m", since=now - 86_400_000, limit=10) == []
    for wrong in ({"granularity": 61}, {"granularity": 60, "start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}):
        with pytest.raises(ccxt.ExchangeError, match="granularity"):
            alice.public_get_products_id_candles({"id": "ACME-USD", **wrong})


# -- orders -------------------------------------------------------------------------------------------------------------


def test_an_order_is_entered_filled_in_part_found_and_cancelled(venue: Served, alice: Exchange, bob: Exchange) -> None:
    made = order(alice, "buy", 5, 12.50)
    assert (made["status"], made["amount"], made["filled"], made["symbol"]) == ("open", 5, 0, ACME)
    taken = order(bob, "sell", 2, 12.25)
    assert (taken["status"], taken["filled"], taken["average"], taken["fee"]["cost"]) == ("closed", 2, 12.5, 0.01)
    shown(venue)
    found = alice.fetch_order(made["id"])
    assert (found["status"], found["filled"], found["remaining"], found["timestamp"]) == ("open", 2, 3, made["timestamp"])
    assert [each["id"] for each in alice.fetch_open_orders(ACME)] == [made["id"]]
    assert alice.cancel_order(made["id"], ACME)["info"] == made["id"]
    assert alice.fetch_open_orders() == []
    found = alice.fetch_order(made["id"])
    assert (found["status"], found["filled"], found["info"]["done_reason"]) == ("canceled", 2, "canceled")
    assert made["id"] in {each["id"] for each in alice.fetch_closed_orders(ACME)}
    assert {made["id"]} == {each["id"] for each in alice.fetch_orders(ACME)} & {made["id"]}


def test_fills_are_those_of_the_owner(venue: Served, alice: Exchange, bob: Exchange) -> None:
    made = order(alice, "buy", 5, 12.50)
    order(bob, "sell", 2, 12.25)
    shown(venue)
    (fill,) = alice.fetch_order_trades(made["id"])
    assert (fill["side"], fill["takerOrMaker"], fill["price"], fill["amount"], fill["fee"]["cost"]) == ("buy", "maker", 12.5, 2, 0.01)
    newest = bob.fetch_my_trades(ACME)[-1]
    assert (newest["id"], newest["side"], newest["takerOrMaker"]) == (fill["id"], "sell", "taker")
    assert bob.fetch_order_trades(made["id"]) == []


def test_an_order_is_named_by_its_client_oid(venue: Served, alice: Exchange) -> None:
    oid = str(uuid4())
    made = order(alice, "buy", 5, 12.50, clientOrderId=oid)
    assert made["clientOrderId"] == oid
    assert alice.fetch_open_orders(ACME)[0]["clientOrderId"] == oid
    assert alice.fetch_order("", params={"client_oid": oid})["id"] == made["id"]
    assert of_command_id(venue.log.read(1), account=1, command_id=client_order_id(oid)) is not None
    alice.cancel_order("", ACME, {"client_oid": oid})
    assert alice.fetch_order("", params={"client_oid": oid})["status"] == "canceled"


def test_an_order_sent_again_with_its_client_oid_is_not_entered_twice(alice: Exchange) -> None:
    """The second is signed for another second, as a client does that heard no answer."""
    oid = str(uuid4())
    made = order(alice, "buy", 5, 12.50, clientOrderId=oid)
    again = order(alice, "buy", 5, 12.50, clientOrderId=oid, later="1")
    assert (again["id"], again["status"]) == (made["id"], "open")
    assert len(alice.fetch_open_orders()) == 1


def test_all_orders_are_cancelled_and_named(alice: Exchange, bob: Exchange) -> None:
    mine = {order(alice, "buy", 1, 12.50 - cents / 100)["id"] for cents in range(3)}
    other = order(bob, "buy", 1, 12.50)
    assert set(alice.cancel_all_orders(ACME)[0]["info"]) == mine
    assert alice.fetch_open_orders() == []
    assert [each["id"] for each in bob.fetch_open_orders()] == [other["id"]]


@pytest.mark.parametrize(
    ("type_", "params", "reason"),
    [
        ("IOC", {"timeInForce": "IOC"}, "canceled"),
        ("FOK", {"timeInForce": "FOK"}, "filled"),
        ("GTT", {"timeInForce": "GTT", "cancel_after": "min"}, None),
    ],
)
def test_an_order_lasts_as_long_as_it_is_told_to(
    alice: Exchange, bob: Exchange, type_: str, params: dict[str, str], reason: str | None
) -> None:
    order(alice, "sell", 2, 13)
    made = order(bob, "buy", 2 if type_ == "FOK" else 3, 13, **params)
    assert (made["filled"], made["timeInForce"], made["info"].get("done_reason")) == (2, type_, reason)


def test_a_market_order_is_for_a_size_or_for_funds(venue: Served, alice: Exchange, bob: Exchange) -> None:
    order(alice, "sell", 10, 13)
    shown(venue)
    bought = bob.create_order(ACME, "market", "buy", 2)
    assert (bought["status"], bought["filled"], bought["cost"]) == ("closed", 2, 26)
    spent = bob.create_order(ACME, "market", "buy", 0, params={"funds": "40"})
    assert (spent["filled"], spent["cost"], spent["info"]["funds"]) == (3, 39, "40")
    assert bob.fetch_order(spent["id"])["amount"] == 3


def test_a_market_order_does_not_go_further_than_its_protection(venue: Served, alice: Exchange, bob: Exchange) -> None:
    order(alice, "sell", 1, 10)
    order(alice, "sell", 1, 10.50)
    order(alice, "sell", 1, 10.51)
    shown(venue)
    bought = bob.create_order(ACME, "market", "buy", 3)
    assert (bought["filled"], bought["cost"], bought["status"]) == (2, 20.5, "canceled")


def test_a_market_order_that_nobody_meets_is_cancelled(bob: Exchange, alice: Exchange) -> None:
    for side in ("buy", "sell"):
        made = alice.create_order(ACME, "market", side, 1)
        assert (made["status"], made["filled"]) == ("canceled", 0)


def test_balances_say_what_is_held(alice: Exchange) -> None:
    before = alice.fetch_balance()["USD"]
    order(alice, "buy", 10, 12.50)
    after = alice.fetch_balance()["USD"]
    assert after["total"] == before["total"]
    assert round(after["used"] - before["used"], 2) == 125.03  # with its fee bound
    accounts = {each["code"]: each["id"] for each in alice.fetch_accounts()}
    assert alice.private_get_accounts_id({"id": accounts["USD"]})["hold"] == f"{after['used']:.2f}"


def test_a_ledger_says_how_it_came_to_that(venue: Served, alice: Exchange, bob: Exchange) -> None:
    order(alice, "buy", 4, 12.50)
    order(bob, "sell", 4, 12.50)
    shown(venue)
    last = alice.fetch_ledger("ACME")[-1]
    assert (last["amount"], last["direction"], last["after"]) == (4, "in", alice.fetch_balance()["ACME"]["total"])


def test_lists_go_on_where_the_last_page_ended(alice: Exchange) -> None:
    made = [order(alice, "buy", 1, 12.50 - cents / 100)["id"] for cents in range(5)]
    seen, after = [], ""
    while True:
        page = alice.private_get_orders({"limit": 2, **({"after": after} if after else {})})
        if not page:
            break
        seen += [each["id"] for each in page]
        after = alice.last_response_headers["Cb-After"]
    assert seen == made[::-1]


# -- what goes wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "price", "kind"),
    [
        (20_000, 12.50, ccxt.InsufficientFunds),
        (1, 20_000, ccxt.InvalidOrder),
        (2_000_000, 12.50, ccxt.ExchangeError),
    ],
)
def test_a_refusal_has_the_class_that_users_of_the_client_expect(alice: Exchange, size: float, price: float, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        order(alice, "sell", size, price)


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({"price": "12.505"}, ccxt.InvalidOrder),
        ({"size": "0.5"}, ccxt.InvalidOrder),
        ({"product_id": "NOPE-USD"}, ccxt.InvalidOrder),
        ({"product_id": "ACME-EUR"}, ccxt.InvalidOrder),
        ({"client_oid": "7"}, ccxt.InvalidOrder),
        ({"side": "hold"}, ccxt.ExchangeError),
        ({"stop": "loss", "stop_price": "12"}, ccxt.ExchangeError),
        ({"time_in_force": "GTT"}, ccxt.ExchangeError),
        ({"type": "market", "side": "sell", "size": "", "funds": "5", "price": ""}, ccxt.ExchangeError),
        ({"price": ""}, ccxt.ExchangeError),
    ],
)
def test_an_order_that_is_wrong_is_refused_and_nothing_is_on_record(
    venue: Served, alice: Exchange, terms: dict[str, str], kind: type[Exception]
) -> None:
    before = venue.writer.head
    with pytest.raises(kind):
        alice.private_post_orders({"product_id": "ACME-USD", "side": "buy", "size": "1", "price": "12.50", **terms})
    assert venue.writer.head == before


def test_an_order_that_is_not_there_is_not_found(alice: Exchange, bob: Exchange) -> None:
    made = order(alice, "buy", 1, 12.50)
    for id_ in (to_uuid(ORDER, 1), to_uuid(ORDER, 2**63), str(uuid4())):
        for ask in (alice.fetch_order, alice.cancel_order):
            with pytest.raises(ccxt.OrderNotFound):
                ask(id_, ACME)
    for ask in (bob.fetch_order, bob.cancel_order):
        with pytest.raises(ccxt.OrderNotFound):
            ask(made["id"], ACME)
    with pytest.raises(ccxt.InvalidOrder):
        alice.fetch_order("nonsense")
    alice.cancel_order(made["id"], ACME)
    with pytest.raises(ccxt.OrderNotFound):
        alice.cancel_order(made["id"], ACME)


@pytest.mark.parametrize("wrong", ["apiKey", "secret", "password"])
def test_whoever_has_not_all_three_secrets_is_nobody(venue: Served, wrong: str) -> None:
    client = exchange(venue, "alice")
    other = exchange(venue, "alice")
    setattr(client, wrong, getattr(other, wrong))
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_balance()


@pytest.mark.parametrize("off_s", [-40, 40])
def test_a_request_of_another_time_is_refused(venue: Served, off_s: int) -> None:
    client = exchange(venue, "alice")
    client.nonce = lambda: int(time.time()) + off_s
    with pytest.raises(ccxt.AuthenticationError, match="by our clock"):
        client.fetch_balance()


def test_the_very_same_order_is_taken_once(venue: Served, alice: Exchange) -> None:
    """Whoever overheard it says it again: to the letter, signature and all."""
    client = exchange(venue, "alice")
    now = int(time.time())
    client.nonce = lambda: now
    said = {"product_id": "ACME-USD", "side": "buy", "size": "1", "price": "12.50"}
    client.private_post_orders(said)
    with pytest.raises(ccxt.AuthenticationError, match="made before"):
        client.private_post_orders(said)
    assert len(alice.fetch_open_orders()) == 1


def test_a_key_that_only_reads_does_not_trade(venue: Served, alice: Exchange) -> None:
    reader = exchange(venue, "alice", scopes=["read"])
    reader.fetch_balance()
    with pytest.raises(ccxt.BaseError, match="scope trade"):
        order(reader, "buy", 1, 12.50)
    assert alice.fetch_open_orders() == []


def test_an_account_of_another_is_not_shown_nor_traded_for(alice: Exchange, bob: Exchange) -> None:
    (profile,) = bob.private_get_profiles()
    assert profile["name"] == "bob"
    with pytest.raises(ccxt.BaseError, match="not one of yours"):
        alice.private_get_orders({"profile_id": profile["id"]})
    with pytest.raises(ccxt.BaseError, match="not one of yours"):
        order(alice, "buy", 1, 12.50, profile_id=profile["id"])
    account = bob.fetch_accounts()[0]["id"]
    with pytest.raises(ccxt.ExchangeError, match="account not found"):
        alice.private_get_accounts_id({"id": account})


def test_who_asks_too_often_is_told_so_in_the_client_s_words(venue: Served) -> None:
    generous, venue.house.by_caller = venue.house.by_caller, Buckets(Rate(per_s=0.01, burst=1))
    try:
        client = exchange(venue, "alice")
        client.private_get_profiles()
        with pytest.raises(ccxt.RateLimitExceeded):
            client.private_get_profiles()
    finally:
        venue.house.by_caller = generous


def test_what_the_dialect_has_and_we_have_not_is_told(alice: Exchange) -> None:
    for ask in (alice.fetch_payment_methods, lambda: alice.fetch_deposits("USD"), lambda: alice.withdraw("USD", 1, "0123456789")):
        with pytest.raises(ccxt.ExchangeError, match="there is no"):
            ask()


# -- ids ----------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 15), st.integers(0, 2**64 - 1))
def test_a_uuid_of_ours_says_its_number_and_nothing_else_does(kind: int, number: int) -> None:
    uuid = to_uuid(kind, number)
    assert (of_uuid(kind, uuid), of_uuid(kind ^ 1, uuid)) == (number, None)


@given(st.uuids())
def test_a_uuid_of_a_client_becomes_the_same_number_whatever_its_spelling(uuid: Any) -> None:
    number = client_order_id(str(uuid))
    assert 0 < number < 2**63
    assert {client_order_id(spelled) for spelled in (uuid.hex, str(uuid).upper(), f"{{{uuid}}}")} == {number}
    assert of_uuid(ORDER, str(uuid)) is None


@given(st.text(max_size=31))
def test_what_is_no_uuid_is_told(text: str) -> None:
    with pytest.raises(BadId, match="right would be for example"):
        client_order_id(text)


# -- whatever is asked --------------------------------------------------------------------------------------------------

PATHS = ["products/{}", "products/{}/book", "products/{}/trades", "products/{}/candles", "products/{}/ticker", "products/{}/stats"]
PATHS += ["orders/{}", "orders/client:{}", "accounts/{}", "accounts/{}/ledger", "orders", "fills", "accounts", "currencies/{}"]
WORDS = st.one_of(
    st.sampled_from(["ACME-USD", "0", "-1", to_uuid(ORDER, 1), to_uuid(4, 1 << 16 | 1), "9" * 30, "1e9", "2020-01-01T00:00:00Z", "all"]),
    st.text(st.characters(codec="utf-8", exclude_characters="/?#%\\"), min_size=1, max_size=12),
)
NAMES = ["level", "limit", "before", "after", "granularity", "start", "end", "status"]
NAMES += ["product_id", "profile_id", "order_id", "start_date", "end_date"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), word=WORDS, params=st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=4))
def test_whatever_is_asked_the_answer_is_no_mistake_of_ours(alice: Exchange, path: str, word: str, params: dict[str, str]) -> None:
    asked = alice.sign(path.format(alice.encode_uri_component(word)), ["private"], "GET", params)
    answer = alice.session.get(asked["url"], headers=asked["headers"], timeout=20)
    assert answer.status_code in {200, 400, 403, 404, 405}, answer.text
    assert answer.status_code == 200 or answer.json()["message"] or path


# -- the manual ---------------------------------------------------------------------------------------------------------


def test_the_example_of_the_manual_runs(venue: Served, alice: Exchange, capsys: pytest.CaptureFixture[str]) -> None:
    issued = venue.credentials.issue("alice", BY)
    (example,) = re.findall(r"```python\n(.*?)```", DIALECTS.read_text(), re.DOTALL)
    words = {"KEY": issued.key, "SECRET": issued.secret, "PASSPHRASE": issued.passphrase, "REST": venue.address, "WS": ""}
    exec(example, words)  # what readers are told to run
    assert capsys.readouterr().out.startswith("open [[12.5, 5")
