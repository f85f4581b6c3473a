"""The commands of trading by hand, when somebody serves the store: through his door, and answered as without one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Outcry, Ran
from tests.cli.venue import Venue

Arguments = tuple[object, ...]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """Nobody quotes there but the tests."""
    opened = Venue(tmp_path_factory.mktemp("trading") / "venue", "--no-robot")
    yield opened
    opened.close()


@pytest.fixture
def at_the_venue(outcry: Outcry, venue: Venue) -> Outcry:
    """`outcry` with the store that is served, in which nobody has an order."""

    def call(*arguments: object) -> Ran:
        return outcry(*arguments, "--store", venue.folder)

    for name in ("alice", "bob"):
        for order in range(1, 4):
            call("cancel", "--client-id", order, "--account", name)
    return call


BUY: Arguments = ("order", "buy", "ACME", 100, "@", "12.50", "--account", "alice", "--client-id", 1)
SELL: Arguments = ("order", "sell", "ACME", 40, "@", "12.40", "--account", "bob", "--client-id", 2)
SAME: list[list[Arguments]] = [
    [BUY],
    [BUY, SELL],
    [SELL],
    [BUY, ("order", "sell", "ACME", 140, "@", "12.50", "--account", "bob", "--time-in-force", "IOC")],
    [BUY, BUY],
    [BUY, ("order", "sell", "ACME", 40, "@", "12.40", "--account", "bob", "--post-only", "refuse")],
    [("order", "buy", "ACME", 1, "@", "99999.99", "--account", "alice")],
    [("order", "buy", "ACME", 1, "@", "12.505", "--account", "alice")],
    [("order", "buy", "ACME", "many", "@", "12.50", "--account", "alice")],
    [("order", "sell", "ACME", 40, "--account", "bob")],
    [BUY, ("cancel", "--client-id", 1, "--account", "alice")],
    [("cancel", "--client-id", 3, "--account", "alice")],
    [("cancel", 77, "--account", "alice")],
    [BUY, ("book", "ACME")],
    [("book", "NONE")],
]


@pytest.mark.parametrize("lines", SAME, ids=lambda lines: " ".join(str(word) for word in lines[-1]))
def test_the_answer_is_the_same_as_without_a_door(outcry: Outcry, at_the_venue: Outcry, lines: list[Arguments]) -> None:
    """Exit code, and every field of JSON that both have, but for what counts what happened before."""
    outcry("order", "buy", "ACME", 1, "@", "1.00", "--account", "alice", "--client-id", 3)  # the first opens the example market
    outcry("cancel", "--client-id", 3, "--account", "alice")
    *before, last = lines
    for line in before:
        assert outcry(*line).code == at_the_venue(*line).code
    alone, served = outcry(*last, "--json"), at_the_venue(*last, "--json")
    assert served.code == alone.code, served.err
    different = {"order", "maker_order", "error", "refusal", "seq", "partition"}
    both = (alone.json.keys() & served.json.keys()) - different
    assert {"exit"} <= both or {"ok", "trades", "resting"} <= both or {"symbol", "buys", "sells"} <= both

    def comparable(found: object) -> object:
        if isinstance(found, dict):
            return {name: comparable(value) for name, value in found.items() if name not in different}
        return [comparable(each) for each in found] if isinstance(found, list) else found

    assert comparable({name: served.json[name] for name in both}) == comparable({name: alone.json[name] for name in both})
    assert (served.json.get("refusal") or {}).get("rule") == (alone.json.get("refusal") or {}).get("rule")


def test_it_says_in_the_same_words_what_happened(outcry: Outcry, at_the_venue: Outcry) -> None:
    for call in (outcry, at_the_venue):
        assert call(*BUY).code == 0
    alone, served = (call(*SELL).out.splitlines() for call in (outcry, at_the_venue))
    assert [line.partition(" ")[0] for line in served] == [line.partition(" ")[0] for line in alone] == ["accepted:", "traded"]
    assert all(" 40 ACME at 12." in line for line in served)
    assert served[1].endswith("fee 0.10 USD")
    refused, too = (call(*BUY[:5], "99999.99", "--account", "alice").out for call in (outcry, at_the_venue))
    assert too == refused == "refused: price_band (nearest price allowed: 1000000; price in ticks: 9999999)\n"


def test_a_balance_is_that_of_the_account_whose_key_lies_there(at_the_venue: Outcry) -> None:
    before = {each["asset"]: each for each in at_the_venue("balance", "alice", "--json").json["balances"]}
    at_the_venue(*BUY)
    found = at_the_venue("balance", "alice", "--json").json
    after = {each["asset"]: each for each in found["balances"]}
    assert (found["account"], found["number"]) == ("alice", 1)
    assert after["ACME"] == before["ACME"]
    assert after["USD"]["held"] == "1250.25"


def test_a_key_says_who_it_is_and_where(outcry: Outcry, venue: Venue, at_the_venue: Outcry) -> None:
    """The file is enough; the store of whoever types has nothing to do with it."""
    key = ("--key", venue.key("alice"))
    entered = outcry(*BUY[:6], "--client-id", 1, *key, "--json")
    assert entered.json["resting"] is True
    assert outcry("book", "ACME", *key, "--json").json["buys"] == [{"price": "12.50", "quantity": "100", "orders": 1}]
    assert outcry("balance", "alice", *key).code == 0
    assert outcry("cancel", entered.json["order"], *key).code == 0


def test_whose_key_it_is_not_is_told(outcry: Outcry, venue: Venue) -> None:
    key = ("--key", venue.key("alice"))
    refused = outcry("order", "buy", "ACME", 1, "@", "1.00", "--account", "bob", *key, "--json")
    assert (refused.code, refused.json["exit"]) == (2, 2)
    assert "the key is not for an account 'bob'; it is for alice" in refused.json["error"]


def test_who_has_no_key_there_is_told_how_to_say_who_he_is(at_the_venue: Outcry, venue: Venue) -> None:
    for line in (("order", "buy", "ACME", 1, "@", "1.00", "--account", "zorro"), ("cancel", 7)):
        refused = at_the_venue(*line)
        assert refused.code == 2
        assert f"{venue.rest} wants a key; right would be --key FILE, or --account NAME of one in {venue.folder}/keys" in refused.err


def test_a_file_that_is_no_key_is_wrong_use(outcry: Outcry, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    refused = outcry("book", "ACME", "--key", tmp_path / "key.json")
    assert refused.code == 2
    assert "key.json is no key file" in refused.err


def test_a_door_where_nobody_is_is_the_worlds_failure(outcry: Outcry, venue: Venue) -> None:
    failed = outcry("book", "ACME", "--at", "http://127.0.0.1:1", "--json")
    assert (failed.code, failed.json["exit"]) == (3, 3)


def test_when_nobody_serves_it_any_more_the_record_is_asked(outcry: Outcry, tmp_path: Path) -> None:
    """Stopped or killed: a dead process opens no door. What it is called is in the store."""
    opened = Venue(tmp_path / "venue", "--no-robot")
    at = ("--store", opened.folder)
    try:
        assert "seq" in outcry(*BUY, *at, "--json").json
        assert opened.ends(signal.SIGKILL) == -signal.SIGKILL
        assert (opened.folder / "doors.json").exists()
        assert "events" in outcry("book", "ACME", *at, "--json").json
        opened.start()
        assert "seq" in outcry("book", "ACME", *at, "--json").json
        assert opened.ends(signal.SIGTERM) == 0
    finally:
        opened.close()
    assert outcry(*SELL, *at, "--json").json["trades"][0]["quantity"] == "40"
    assert outcry("balance", "bob", *at, "--json").json["number"] == 2
