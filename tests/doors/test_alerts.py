"""Alerts at the doors: rules by REST, what they told by REST and by the socket, once each, also to whoever was away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.alerts.fired import Fired, Told
from adapters.alerts.registered import Evaluation, RegisteredRules
from adapters.registry.registry import Registry
from projections.alert_rules import MAX_RULES_PER_ACCOUNT, Alert, BadRule, Rule
from tests.doors.house import BY, Client, Served, served
from tests.doors.sockets import Socket, connected, run

PRICE = {"kind": "price", "symbol": "ACME", "level": "12.50", "hysteresis": "0.10"}
ISSUED = {"scopes": ["read", "trade"]}


def trade(alice: Client, bob: Client, price: str) -> int:
    """At *price*; its block."""
    order = {"symbol": "ACME", "quantity": "5", "price": price}
    alice.post("/v1/orders", json={**order, "side": "buy"}).raise_for_status()
    done = bob.post("/v1/orders", json={**order, "side": "sell"}).raise_for_status().json()
    assert done["fills"], done
    return int(done["seq"])


def fired(client: Client, count: int) -> list[dict[str, Any]]:
    """What rules told, when there are *count* of them, newest first."""
    while True:
        found: list[dict[str, Any]] = client.get("/v1/alerts/fired").raise_for_status().json()["alerts"]
        if len(found) >= count:
            return found


def test_a_price_that_crosses_is_told_once_with_rule_level_and_value(alice: Client, bob: Client) -> None:
    trade(alice, bob, "12.40")
    rule = alice.post("/v1/alerts", json={**PRICE, "text": "sell some"}).raise_for_status().json()
    trade(alice, bob, "12.55")
    trade(alice, bob, "12.60")
    told = fired(alice, 1)
    assert [(each["rule"], each["kind"], each["level"], each["value"], each["text"]) for each in told] == [
        (rule["rule"], "price", "12.50", "12.55", "sell some")
    ]
    assert told[0]["tells"] == rule["tells"] == "ACME reaches 12.50"


def test_a_rule_is_listed_until_it_is_removed_and_tells_nothing_after(alice: Client, bob: Client) -> None:
    gone = alice.post("/v1/alerts", json=PRICE).raise_for_status().json()
    kept = alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status().json()
    assert [each["rule"] for each in alice.get("/v1/alerts").json()["rules"]] == [gone["rule"], kept["rule"]]
    removed = alice.delete(f"/v1/alerts/1/{gone['rule']}").raise_for_status().json()
    assert removed["until_block"] >= gone["from_block"]
    trade(alice, bob, "12.40")
    trade(alice, bob, "12.60")
    assert {each["rule"] for each in fired(alice, 2)} == {kept["rule"]}
    assert [each["rule"] for each in alice.get("/v1/alerts").json()["rules"]] == [kept["rule"]]


def test_nobody_sees_or_removes_rules_of_others_nor_what_they_told(alice: Client, bob: Client) -> None:
    rule = alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status().json()
    trade(alice, bob, "12.40")
    fired(alice, 1)
    assert bob.get("/v1/alerts").json()["rules"] == []
    assert bob.get("/v1/alerts/fired").json()["alerts"] == []
    assert bob.delete(f"/v1/alerts/1/{rule['rule']}").status_code == 404
    assert bob.get("/v1/alerts", params={"account": 1}).status_code == 403
    assert bob.post("/v1/alerts", json={"kind": "fills", "account": 1}).status_code == 403


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"kind": "price", "level": "12.50"}, "right would be symbol"),
        ({"kind": "price", "symbol": "ACME"}, "right would be level"),
        ({"kind": "price", "symbol": "ACME", "level": "12.505"}, "multiple of the tick"),
        ({"kind": "move", "symbol": "ACME", "level": "five", "within_s": 60}, "is no number"),
        ({"kind": "move", "symbol": "ACME", "level": "5", "within_s": 61}, "right would be one of"),
        ({"kind": "volume", "symbol": "ACME", "level": "0.5", "within_s": 60}, "right would be"),
        ({"kind": "fills", "webhook": "https://example.com/x"}, "neither webhook nor email"),
        ({"kind": "balance", "asset": "USD"}, "right would be level"),
        ({"kind": "fills", "above": False}, "only one direction"),
    ],
)
def test_a_rule_that_cannot_be_is_told_what_would_be_right(alice: Client, asked: dict[str, Any], says: str) -> None:
    answer = alice.post("/v1/alerts", json=asked)
    assert (answer.status_code, says in answer.json()["detail"]) == (400, True), answer.text
    assert alice.get("/v1/alerts").json()["rules"] == []


@pytest.mark.parametrize(
    ("asked", "tells"),
    [
        ({"kind": "spread", "symbol": "ACME", "level": "0.10"}, "the spread of ACME reaches 0.10"),
        ({"kind": "move", "symbol": "ACME", "level": "-2.5", "within_s": 300}, "ACME has moved by -2.5000 % within 300 s"),
        ({"kind": "volume", "symbol": "ACME", "level": "3", "within_s": 60}, "ACME has 3.000 times its usual volume of 60 s"),
        ({"kind": "halt", "symbol": "ACME"}, "ACME is halted"),
        ({"kind": "fills", "symbol": "ACME"}, "orders of the account trade in ACME"),
        ({"kind": "balance", "asset": "USD", "level": "1000.00", "above": False}, "what is available of USD falls to 1000.00"),
    ],
)
def test_every_kind_of_rule_is_told_back_in_words(alice: Client, asked: dict[str, Any], tells: str) -> None:
    assert alice.post("/v1/alerts", json=asked).raise_for_status().json()["tells"] == tells


async def listening(house: Served, socket: Socket, **words: Any) -> None:
    await socket.logged_in(house.credentials.issue("alice", BY, scopes=["read"]))
    await socket.asks(op="subscribe", channels=["alerts"], **words)


def test_what_fires_is_pushed_to_its_owner_with_the_block(house: Served, alice: Client, bob: Client) -> None:
    alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status()

    async def given() -> None:
        async with connected(house) as socket:
            await listening(house, socket)
            seq = trade(alice, bob, "12.40")
            told = await socket.until(channel="alerts")
            assert (told["seq"], told["account"], [each["kind"] for each in told["alerts"]]) == (seq, 1, ["fills"])

    run(given())


def test_who_was_away_is_told_what_he_missed_each_once(house: Served, alice: Client, bob: Client) -> None:
    alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status()
    blocks = [trade(alice, bob, "12.40") for _ in range(4)]
    fired(alice, 4)

    async def given() -> None:
        async with connected(house) as socket:
            await listening(house, socket, **{"from": {"1": blocks[1]}})
            blocks.append(trade(alice, bob, "12.40"))
            told = [await socket.until(channel="alerts") for _ in range(3)]
            assert [each["seq"] for each in told] == blocks[2:]
            assert [each["previous"] for each in told] == blocks[1:-1]

    run(given())


def test_nobody_is_pushed_alerts_of_others(house: Served, alice: Client, bob: Client) -> None:
    alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status()

    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(house.credentials.issue("bob", BY, scopes=["read"]))
            await socket.asks(op="subscribe", channels=["alerts", "user"])
            trade(alice, bob, "12.40")
            fired(alice, 1)
            assert (await socket.next())["channel"] == "user"
            await socket.asks(op="ping")
            assert socket.messages.empty()
            socket.say(op="subscribe", id="x", channels=["alerts"])
            assert (await socket.until(id="x"))["type"] == "done"

    run(given())


def test_nobody_is_pushed_alerts_without_login(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            assert (await socket.problem(op="subscribe", channels=["alerts"]))["status"] == 401

    run(given())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def venue(folder: Path) -> Iterator[Served]:
    with served(folder) as made:
        yield made


def test_after_a_restart_the_same_rules_have_told_the_same(venue: Served) -> None:
    """A rule holds from a block on, so folding the record anew fires it where it fired."""
    with venue.client("alice") as alice, venue.client("bob") as bob:
        rule = alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status().json()
        trade(alice, bob, "12.40")
        alice.delete(f"/v1/alerts/1/{rule['rule']}").raise_for_status()
        trade(alice, bob, "12.40")
        alice.post("/v1/alerts", json={"kind": "fills"}).raise_for_status()
        trade(alice, bob, "12.40")
        before = [each["name"] for each in fired(alice, 2)]
        assert len(before) == 2
    rules = RegisteredRules(Registry(venue.registry_log), venue.log)
    with closing(Evaluation(1, venue.log, rules)) as again:
        while again.fired.seq < venue.log.head(1).seq:
            pass
        assert [f"1:{each.name}" for each in reversed(again.fired.of(1))] == before


def test_an_account_has_so_many_rules_and_no_more(venue: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.alerts.registered.MAX_RULES_PER_ACCOUNT", 2)
    assert MAX_RULES_PER_ACCOUNT > 2
    rules = RegisteredRules(venue.registry, venue.log)
    for _ in range(2):
        rules.add(1, Rule("fills", 1))
    with pytest.raises(BadRule, match="as many as it may have"):
        rules.add(1, Rule("fills", 1))
    rules.add(1, Rule("fills", 2))


def test_beyond_its_bound_the_oldest_alerts_give_way_and_that_is_known() -> None:
    log = Fired(1, kept=2)
    log.take([told(seq, account) for seq, account in ((3, 1), (4, 2), (5, 1))], 7)
    assert (log.floor, log.seq) == (3, 7)
    assert [each.seq for each in log.of(1)] == [5]
    assert [each.seq for each in log.since(4)] == [5]


def told(seq: int, account: int) -> Told:
    return Told(1, seq, f"alert:{seq}:1:1", Alert(1, account, 5, 1, 0, 1, 0, 100, 1, 5, seq, seq), None)
