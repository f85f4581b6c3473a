"""What the stack's other workers tell and do, seen at its gateways: alerts that a worker evaluated, markets that a calendar opens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.doors.sockets import connected, run
from tests.gateway.venue import Venue
from tests.servers.test_alerts import evaluate
from tests.waiting import eventually


@pytest.fixture(scope="module")
def venue(served: Venue) -> Venue:
    evaluate(served.market, "alerts")
    return served


def traded(venue: Venue, price: str) -> int:
    """Alice and bob trade at *price*; the block."""
    with venue.client(venue.gateways["one"], "alice") as alice, venue.client(venue.gateways["one"], "bob") as bob:
        venue.trade(alice, price=price)
        done = venue.trade(bob, side="sell", price=price)
    assert done["fills"], done
    return int(done["seq"])


def test_a_rule_that_is_set_at_one_gateway_is_told_once_at_every_other_also_to_who_was_away(venue: Venue) -> None:
    one, two = venue.gateways["one"], venue.gateways["two"]
    with venue.client(one, "alice") as alice, venue.client(two, "alice") as elsewhere:
        rule = alice.post("/v1/alerts", json={"kind": "fills", "text": "mine"}).raise_for_status().json()
        assert [each["rule"] for each in elsewhere.get("/v1/alerts").json()["rules"]] == [rule["rule"]]

        async def given() -> None:
            async with connected(two) as socket:
                await socket.logged_in(venue.keys["alice"])
                await socket.asks(op="subscribe", channels=["alerts"])
                first = await asyncio.to_thread(traded, venue, "12.40")
                told = await socket.until(channel="alerts")
                assert (told["seq"], [each["text"] for each in told["alerts"]]) == (first, ["mine"])
            missed = [await asyncio.to_thread(traded, venue, "12.50") for _ in range(2)]
            async with connected(one) as socket:
                await socket.logged_in(venue.keys["alice"])
                await socket.asks(op="subscribe", channels=["alerts"], **{"from": {"1": first}})
                missed.append(await asyncio.to_thread(traded, venue, "12.60"))
                assert [(await socket.until(channel="alerts"))["seq"] for _ in missed] == missed

        run(given())
        found: list[dict[str, Any]] = []

        def all_there() -> bool:
            found[:] = elsewhere.get("/v1/alerts/fired").raise_for_status().json()["alerts"]
            return len(found) == 4

        eventually(all_there)
        assert {each["rule"] for each in found} == {rule["rule"]}
        alice.delete(f"/v1/alerts/1/{rule['rule']}").raise_for_status()
        assert elsewhere.get("/v1/alerts").json()["rules"] == []


def test_an_instrument_is_opened_by_its_calendar(venue: Venue) -> None:
    one, two = venue.gateways["one"], venue.gateways["two"]
    always = {"name": "always", "zone": "Asia/Tokyo", "opens": "00:00", "closes": "24:00", "weekdays": [1, 2, 3, 4, 5, 6, 7]}
    with venue.client(one, "root") as root, venue.client(two) as nobody:
        root.post("/v1/calendars", json={**always, "reason": "never sleeps"}).raise_for_status()
        root.post("/v1/assets", json={"name": "DAYS", "scale": 0, "reason": "to be traded"}).raise_for_status()
        terms = {"symbol": "DAYS", "base_asset": "DAYS", "quote_asset": "USD", "tick_size": "0.05", "lot_size": "1", "calendar": "always"}
        root.post("/v1/instruments", json={**terms, "reason": "asked for"}).raise_for_status()
        eventually(lambda: nobody.get("/v1/instruments/DAYS").json().get("state") == "open")
