"""What operators do: list an instrument, and numbers that nobody gets twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from adapters.doors.embedded import forwarding
from adapters.registry.aggregates import Account, Listing
from tests.doors.house import Client, Served, served
from tests.waiting import eventually

TERMS = {"symbol": "BOLT", "base_asset": "BOLT", "quote_asset": "USD", "tick_size": "0.05", "lot_size": "1", "reason": "asked for by many"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here, whose partition is told what is registered."""
    with served(tmp_path_factory.mktemp("house")) as made, forwarding(made.registry, made.writer, 1):
        yield made


@pytest.fixture(scope="module")
def bolt(house: Served) -> None:
    with house.client("root") as root:
        root.post("/v1/assets", json={"name": "BOLT", "scale": 0, "reason": "to be traded"}).raise_for_status()


def shown(client: Client, symbol: str, state: str) -> dict[str, Any]:
    """The instrument, once it is in that state."""
    answers: list[httpx.Response] = []

    def found() -> dict[str, Any]:
        answers[:] = [client.get(f"/v1/instruments/{symbol}")]
        return answers[0].json() if answers[0].status_code == 200 and answers[0].json()["state"] == state else {}

    return eventually(found, lambda: answers[0].text)


@pytest.mark.usefixtures("bolt")
def test_an_instrument_is_listed_opened_and_traded(house: Served, root: Client, alice: Client) -> None:
    made = root.post("/v1/instruments", json={**TERMS, "high_price": "500", "taker_rate": "0.00025"}).raise_for_status().json()
    found = shown(root, "BOLT", "pre_open")
    assert (found["instrument"], found["partition"], found["quote_asset"]) == (made["number"], 1, "USD")
    assert (found["tick_size"], found["high_price"], found["taker_rate"]) == ("0.05", "500.00", "0.00025")
    root.put("/v1/instruments/BOLT/state", json={"state": "open", "reason": "it begins"}).raise_for_status()
    shown(root, "BOLT", "open")
    order = {"symbol": "BOLT", "side": "buy", "quantity": "3", "price": "100.05"}
    assert alice.post("/v1/orders", json=order).json()["resting"] is True
    root.post("/v1/instruments/BOLT/mass-cancel", json={"side": "sells", "reason": "no seller may stay"}).raise_for_status()
    root.post("/v1/instruments/BOLT/mass-cancel", json={"reason": "its price was wrong"}).raise_for_status()
    eventually(lambda: alice.get("/v1/orders").json()["orders"] == [])
    assert alice.post("/v1/instruments/BOLT/mass-cancel", json={"reason": "mine"}).status_code == 403
    listed = house.registry.get(Listing, "BOLT")
    assert listed.terms["instrument"] == made["number"]
    assert root.post("/v1/instruments", json=TERMS).status_code == 409


@pytest.mark.usefixtures("bolt")
@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    [
        ({"symbol": "ACME"}, 409, "ACME is listed already, in partition 1"),
        ({"base_asset": "NOPE"}, 404, "no Asset 'NOPE' is registered"),
        ({"partition": 9}, 404, "no partition 9"),
        ({"tick_size": "0.001"}, 400, "choose tick and lot so that it is whole"),
        ({"tick_size": "0"}, 400, ""),
        ({"low_price": "2", "high_price": "1"}, 400, ""),
        ({"symbol": "zero"}, 400, ""),
    ],
)
def test_what_cannot_be_listed_is_refused_and_nothing_is_registered(
    house: Served, root: Client, wrong: dict[str, Any], status: int, says: str
) -> None:
    before = len(house.registry.all(Listing))
    answer = root.post("/v1/instruments", json={**TERMS, "symbol": "NEXT", **wrong})
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert len(house.registry.all(Listing)) == before


def test_who_may_not_operate_lists_nothing(alice: Client) -> None:
    assert alice.post("/v1/instruments", json=TERMS).status_code == 403


def test_of_accounts_that_are_asked_for_at_the_same_time_no_two_get_one_number(house: Served) -> None:
    """Two owners of one number would trade with one another's funds."""

    def asked(name: str) -> int:
        with house.client("root") as root:
            terms = {"name": name, "firm": "acme", "users": ["alice"], "reason": "new"}
            number: int = root.post("/v1/accounts", json=terms).raise_for_status().json()["number"]
            return number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(asked, [f"desk-{number}" for number in range(16)]))
    assert len(set(numbers)) == 16
    assert {account.number for account in house.registry.all(Account)} >= set(numbers)


def charged(client: Client) -> tuple[str, str]:
    found = client.get("/v1/instruments/DAYS").json()
    return found["maker_rate"], found["taker_rate"]


@pytest.mark.usefixtures("bolt")
def test_a_calendar_opens_what_is_listed_with_it_and_a_schedule_says_its_fees(root: Client, nobody: Client) -> None:
    always = {"name": "always", "zone": "Europe/Berlin", "opens": "00:00", "closes": "24:00", "weekdays": [1, 2, 3, 4, 5, 6, 7]}
    root.post("/v1/calendars", json={**always, "reason": "never sleeps"}).raise_for_status()
    retail = {"name": "retail", "maker_rate": "0.0001", "taker_rate": "0.0003"}
    root.post("/v1/fee-schedules", json={**retail, "reason": "as agreed"}).raise_for_status()
    listed = {**TERMS, "symbol": "DAYS", "fees": "retail", "calendar": "always"}
    root.post("/v1/instruments", json=listed).raise_for_status()
    found = shown(root, "DAYS", "open")
    assert (found["maker_rate"], found["taker_rate"]) == ("0.0001", "0.0003")
    assert [(each["name"], each["state"]) for each in nobody.get("/v1/calendars").json()] == [("always", "open")]
    assert nobody.get("/v1/fee-schedules").json() == [retail]
    dearer = {"maker_rate": "0.0002", "taker_rate": "0.0004", "reason": "costs rose"}
    root.put("/v1/fee-schedules/retail", json=dearer).raise_for_status()
    eventually(lambda: charged(nobody) == ("0.0002", "0.0004"))
    root.post("/v1/fee-schedules", json={"name": "vip", "maker_rate": "0", "taker_rate": "0.00005", "reason": "few"}).raise_for_status()
    root.put("/v1/instruments/DAYS/fees", json={"fees": "vip", "reason": "it is one"}).raise_for_status()
    eventually(lambda: charged(nobody) == ("0", "0.00005"))
    assert root.put("/v1/fee-schedules/none", json=dearer).status_code == 404
    too_dear = root.put("/v1/fee-schedules/retail", json={**dearer, "taker_rate": "400"})
    assert (too_dear.status_code, too_dear.json()["detail"]) == (400, "fee rate 400 is above 0.1 of the value, the highest")
    assert root.put("/v1/instruments/DAYS/fees", json={"fees": "none", "reason": "x"}).status_code == 404
    assert nobody.put("/v1/fee-schedules/retail", json=dearer).status_code == 401
    never = {**always, "name": "never", "weekdays": [], "reason": "a museum"}
    root.post("/v1/calendars", json=never).raise_for_status()
    root.put("/v1/instruments/DAYS/calendar", json={"calendar": "never", "reason": "it is one"}).raise_for_status()
    assert root.put("/v1/calendars/never/holidays", json={"holidays": ["today"], "reason": "x"}).status_code == 400
    assert root.post("/v1/instruments", json={**listed, "symbol": "NONE", "calendar": "lunar"}).status_code == 404
    assert root.post("/v1/instruments", json={**listed, "symbol": "NONE", "fees": "none"}).status_code == 404
    assert nobody.post("/v1/calendars", json=never).status_code == 401
