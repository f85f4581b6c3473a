"""A market by hand: what one types, and what the record says of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from adapters.settings import load
from adapters.wiring import writing
from tests.cli.conftest import Outcry


def test_the_first_order_opens_the_example_market_and_says_so(outcry: Outcry) -> None:
    """A new user trades with one command."""
    bought = outcry("order", "buy", "ACME", 100, "@", "12.50", "--account", "alice", "--json")
    assert bought.code == 0
    assert "opened the example market" in bought.err
    assert (bought.json["ok"], bought.json["resting"], bought.json["trades"]) == (True, True, [])
    again = outcry("order", "buy", "ACME", 1, "@12.50", "--account", "alice")
    assert "example" not in again.err


def test_a_trade_moves_stock_money_and_fees(outcry: Outcry) -> None:
    """40 at the maker's 12.50 is 500.00: the taker pays 2 basis points, the maker 1, and holds the rest of its order with its fee."""
    maker = outcry("order", "buy", "ACME", 100, "@", "12.50", "--account", "alice", "--json").json["order"]
    sold = outcry("order", "sell", "ACME", 40, "@", "12.40", "--account", "bob", "--json").json
    assert sold["trades"] == [{"price": "12.50", "quantity": "40", "fee": "0.10", "maker_order": maker}]
    assert outcry("balance", "bob", "--json").json["balances"] == [
        {"asset": "USD", "available": "1000499.90", "held": "0.00"},
        {"asset": "ACME", "available": "9960", "held": "0"},
    ]
    assert outcry("balance", "alice", "--json").json["balances"] == [
        {"asset": "USD", "available": "998749.80", "held": "750.15"},
        {"asset": "ACME", "available": "10040", "held": "0"},
    ]
    assert outcry("book", "ACME", "--json").json["buys"] == [{"price": "12.50", "quantity": "60", "orders": 1}]


def test_a_cancelled_order_leaves_the_book_and_frees_its_funds(outcry: Outcry) -> None:
    number = outcry("order", "buy", "ACME", 100, "@", "12.50", "--account", "alice", "--client-id", 7, "--json").json["order"]
    stranger = outcry("cancel", number, "--account", "bob", "--json")
    assert (stranger.code, stranger.json["refusal"]["rule"]) == (1, "unknown_order")
    assert outcry("cancel", "--client-id", 7, "--account", "alice").code == 0
    assert outcry("book", "ACME", "--json").json["buys"] == []
    assert outcry("balance", "alice", "--json").json["balances"][0] == {"asset": "USD", "available": "1000000.00", "held": "0.00"}


def test_without_a_price_an_order_takes_what_there_is_and_never_rests(outcry: Outcry) -> None:
    outcry("order", "sell", "ACME", 30, "@", "12.50", "--account", "bob")
    bought = outcry("order", "buy", "ACME", 100, "--budget", "126", "--account", "alice", "--json").json
    assert [trade["quantity"] for trade in bought["trades"]] == ["10"], "126.00 pays ten lots and their fee, not eleven"
    assert not bought["resting"]
    sold = outcry("order", "sell", "ACME", 100, "--account", "alice", "--json").json
    assert (sold["trades"], sold["resting"]) == ([], False)


def test_an_order_that_expired_is_gone_when_the_next_command_comes(outcry: Outcry) -> None:
    """The writer lets due orders expire before it takes anything else: nobody meets a dead order."""
    in_a_moment = time.time_ns() + 2_000_000_000
    assert outcry("order", "sell", "ACME", 30, "@", "12.50", "--account", "bob", "--expires", in_a_moment, "--json").json["resting"]
    time.sleep(max(0.0, (in_a_moment - time.time_ns()) / 1e9) + 0.01)
    bought = outcry("order", "buy", "ACME", 30, "@", "12.50", "--account", "alice", "--json").json
    assert (bought["trades"], bought["resting"]) == ([], True)
    refused = outcry("order", "sell", "ACME", 1, "@", "12.60", "--account", "bob", "--expires", "2001-01-01T00:00:00", "--json")
    assert refused.json["refusal"]["rule"] == "expiry_passed"


def test_a_refusal_names_rule_limit_and_observed_and_exits_with_1(outcry: Outcry) -> None:
    refused = outcry("order", "buy", "ACME", 1000000, "@", "10000", "--account", "alice", "--json")
    assert (refused.code, refused.json["ok"]) == (1, False)
    assert refused.json["refusal"]["rule"] == "insufficient_funds"
    assert refused.json["refusal"]["limit"] == 100_000_000
    assert (
        "refused: insufficient_funds (available, minor units: 100000000;"
        in outcry("order", "buy", "ACME", 1000000, "@", "10000", "--account", "alice").out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("order", "buy", "ACME", 1, "@", "12.505", "--account", "alice"), r"12.505 is not a multiple of the tick 0.01"),
        (("order", "buy", "ACME", "0.5", "@", "12.50", "--account", "alice"), "0.5 is not a multiple of the lot 1"),
        (("order", "buy", "ACME", 1, "@", "cheap", "--account", "alice"), "price 'cheap' is no number"),
        (("order", "buy", "ACNE", 1, "@", "12.50", "--account", "alice"), "no instrument 'ACNE'; there are ACME"),
        (("order", "buy", "ACME", 1, "@", "12.50", "--account", "carol"), "no account 'carol'; there are alice, bob"),
        (("order", "hold", "ACME", 1, "@", "12.50", "--account", "alice"), "'hold' is not one of 'buy', 'sell'"),
        (("order", "buy", "ACME", 1, "@", "12.50"), "whose is it? right would be --account NAME, or --key FILE"),
        (("cancel", "--account", "alice"), "by its number or by --client-id"),
        (("deposit", "alice", "1", "EUR"), "no asset 'EUR'; there are ACME, USD"),
        (("deposit", "alice", "0.001", "USD"), "not a multiple of the minor unit 0.01"),
        (("list", "ACME"), "ACME is listed already"),
        (("list", "TOOLONGNAME"), "not 1 to 8 printable ASCII characters"),
        (("list", "BOLT", "--tick", "0.001"), "choose tick and lot so that it is whole"),
        (("list", "BOLT", "--maker", "100"), "fee rate 100 is above 0.1 of the value, the highest"),
        (("fees", "ACME", "--maker", "0", "--taker", "0.0000005"), "0.0000005 is not a multiple of the millionth 0.000001"),
        (("open", "12"), "cannot name an account"),
    ],
)
def test_wrong_use_says_what_would_be_right_and_changes_nothing(outcry: Outcry, arguments: tuple[object, ...], says: str) -> None:
    outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
    before = outcry("verify", "--json").json
    wrong = outcry(*arguments, "--json")
    assert wrong.code == 2
    assert says in wrong.err
    assert says in wrong.json["error"]
    assert wrong.json["exit"] == 2
    assert outcry("verify", "--json").json == before


def test_a_market_of_ones_own(outcry: Outcry) -> None:
    """List, open, deposit, halt: names and decimals all the way, a lot of 10 shares, a tick of 5 cents, euros."""
    assert outcry("list", "BOLT", "--quote", "EUR", "--tick", "0.05", "--lot", "10", "--maker", 0, "--taker", 0).code == 0
    assert outcry("open", "dave", "--json").json["account"] == 3
    assert outcry("deposit", "dave", "1000", "EUR", "--json").json["available"] == "1000.00"
    assert outcry("deposit", "alice", "100", "BOLT").code == 0
    assert outcry("order", "sell", "BOLT", 50, "@", "3.15", "--account", "alice").code == 0
    bought = outcry("order", "buy", "BOLT", 20, "@", "3.20", "--account", "dave", "--json").json
    assert bought["trades"][0] | {"maker_order": 0} == {"price": "3.15", "quantity": "20", "fee": "0.00", "maker_order": 0}
    assert outcry("balance", "dave", "--json").json["balances"] == [
        {"asset": "EUR", "available": "937.00", "held": "0.00"},
        {"asset": "BOLT", "available": "20", "held": "0"},
    ]
    assert outcry("state", "BOLT", "halted").code == 0
    refused = outcry("order", "buy", "BOLT", 20, "@", "3.20", "--account", "dave", "--json")
    assert refused.json["refusal"]["rule"] == "instrument_state"


def test_without_its_names_a_store_still_answers_by_number(outcry: Outcry, store: Path) -> None:
    """Nothing depends on the file of names but the spelling."""
    outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
    (store / "names.json").unlink()
    assert outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", 1).code == 0
    assert outcry("balance", 1, "--json").json["balances"][0]["asset"] == "asset 1"
    assert outcry("balance", "alice").code == 2


def test_json_has_order_numbers_that_no_reader_rounds(outcry: Outcry) -> None:
    """Readers that take numbers for doubles round from 2^53 on: the order could not be cancelled by the number they show."""
    entered = outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice", "--json").json
    assert int(entered["order"]) > 2**53
    assert isinstance(entered["order"], str)
    assert outcry("cancel", entered["order"], "--account", "alice").code == 0


@pytest.mark.parametrize(
    ("terms", "right"),
    [
        (("1", "@", "99999999"), "NewOrder.price_ticks is 9999999900: it must be 0 to 2147483647"),
        (("1", "@"), "a price is missing after @"),
        (("1",), "a buy has a price, as in @ 12.50, or --budget"),
    ],
)
def test_an_order_that_cannot_be_meant_is_not_put_on_record(outcry: Outcry, terms: tuple[str, ...], right: str) -> None:
    outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
    before = outcry("verify", "--json").json
    refused = outcry("order", "buy", "ACME", *terms, "--account", "alice")
    assert refused.code == 2
    assert right in refused.err
    assert outcry("verify", "--json").json == before


def test_setting_up_is_answered_in_words(outcry: Outcry) -> None:
    assert outcry("list", "BOLT").out == "listed BOLT against USD, open\n"
    assert outcry("open", "carol").out == "opened account 3, carol\n"
    assert outcry("deposit", "carol", "1000.00", "USD").out == "carol has 1000.00 USD available\n"
    assert outcry("state", "BOLT", "pre_open").code == 1
    assert outcry("state", "BOLT", "halted").out == "BOLT is halted\n"


def test_a_store_that_somebody_writes_is_left_alone(outcry: Outcry, store: Path) -> None:
    """A second writer would fence the first, which is right when that one is lost, and not when somebody types an order."""
    outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
    with writing(load({}, None, store=str(store))) as opened, opened.writer():
        refused = outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
        assert (refused.code, f"process {os.getpid()} writes {store}" in refused.err) == (3, True)
        assert outcry("book", "ACME").code == 0
    assert outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice").code == 0


def test_fees_change_for_trades_from_then_on_and_never_above_what_buys_hold_funds_for(outcry: Outcry) -> None:
    outcry("order", "sell", "ACME", 40, "@", "12.50", "--account", "bob")
    assert outcry("fees", "ACME", "--maker", 0, "--taker", "0.0010").out == "ACME: makers pay 0, takers 0.001 of the value\n"
    bought = outcry("order", "buy", "ACME", 60, "@", "12.50", "--account", "alice", "--json").json
    assert [trade["fee"] for trade in bought["trades"]] == ["0.50"]
    raised = outcry("fees", "ACME", "--maker", 0, "--taker", "0.001001", "--json")
    assert (raised.code, raised.json["refusal"]["rule"]) == (1, "rate_not_held")
    assert outcry("fees", "NONE", "--maker", 0, "--taker", 0).code == 2
