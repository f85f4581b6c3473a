"""Who was told of what he did sees it, at the gateway that told him, however far its views are behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.doors.house import House
from commands.ports import RowBytes
from eventstore.blocks import Block
from tests.doors.house import Client, Served

ORDER = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
LATE = 3


@pytest.fixture
def lagging(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views take a block in only when LATE more came, or somebody waits for it."""
    offer, kept = house.feed.offer, []

    def late(block: Block, _rows: RowBytes) -> None:
        kept.append(block)
        if len(kept) > LATE:
            offer(kept.pop(0))

    monkeypatch.setattr(house.feed, "offer", late)


def orders(alice: Client, order: str) -> list[str]:
    return [each["order"] for each in alice.get("/v1/orders").raise_for_status().json()["orders"]]


def one(alice: Client, order: str) -> list[str]:
    return [alice.get(f"/v1/orders/{order}").raise_for_status().json()["order"]]


def changed(alice: Client, order: str) -> list[str]:
    return [alice.patch(f"/v1/orders/{order}", json={"reduce_by": "1"}).raise_for_status().json()["order"]]


@pytest.mark.usefixtures("lagging")
@pytest.mark.parametrize("seen", [orders, one, changed])
def test_an_order_that_was_answered_is_seen_at_once(alice: Client, seen: Callable[[Client, str], list[str]]) -> None:
    order = alice.post("/v1/orders", json=ORDER).raise_for_status().json()["order"]
    assert order in seen(alice, order)


@pytest.mark.usefixtures("lagging")
def test_what_an_order_holds_and_traded_is_seen_at_once(alice: Client, bob: Client) -> None:
    before = held(alice)
    alice.post("/v1/orders", json=ORDER).raise_for_status()
    assert held(alice) > before
    bob.post("/v1/orders", json={**ORDER, "side": "sell"}).raise_for_status()
    assert bob.get("/v1/executions").json()["executions"][0]["quantity"] == "5"
    assert bob.get("/v1/statements").json()["lines"][0]["kind"] == "TradeExecuted"


@pytest.mark.usefixtures("lagging")
def test_who_did_nothing_waits_for_nobody(house: Served, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.post("/v1/orders", json=ORDER).raise_for_status()
    asked: list[int] = []
    read = House.own

    async def watched(self: House, *what: Any) -> Any:
        asked.append(self.desks[1].acted(what[1]))
        return await read(self, *what)

    monkeypatch.setattr(House, "own", watched)
    bob.get("/v1/orders").raise_for_status()
    assert asked == [0]


def held(client: Client) -> float:
    found = client.get("/v1/balances").raise_for_status().json()["partitions"][0]["balances"]
    return max(float(each["held"]) for each in found)
