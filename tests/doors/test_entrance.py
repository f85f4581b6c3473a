"""Orders by REST have a short way in. It says what the application says, which is asked by the same path with a slash more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.doors.rest.app import MAX_BODY_BYTES
from tests.doors.house import PASSWORD, Client, Served, served

SHORT, LONG = "/v1/orders", "/v1/orders/"
ORDER = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
NOT_THE_SAME = {"command_id", "order", "seq", "event", "detail"}  # of two commands


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


BODIES: list[Any] = [
    ORDER,
    {**ORDER, "time_in_force": "IOC"},
    {**ORDER, "price": "", "budget": "100.00"},
    {**ORDER, "time_in_force": "GTD", "expires": "2030-01-01"},
    {**ORDER, "client_order_id": "7"},
    {**ORDER, "quantity": "999999999"},
    {**ORDER, "price": "99999.00"},
    {**ORDER, "price": "12.505"},
    {**ORDER, "price": "-1"},
    {**ORDER, "side": "both"},
    {**ORDER, "symbol": "NONE"},
    {**ORDER, "colour": "red"},
    {**ORDER, "account": 2},
    {**ORDER, "account": "one"},
    {**ORDER, "deadline_ms": -1},
    {**ORDER, "command_id": "0"},
    {**ORDER, "time_in_force": "GTD"},
    [],
    None,
]
UNREADABLE = ["", "{", "\x00", "[" * 10_000, '{"symbol": "\\ud800"}']


@pytest.mark.parametrize("body", [*map(json.dumps, BODIES), *UNREADABLE])
def test_the_short_way_says_what_the_long_way_says(alice: Client, body: str) -> None:
    alice.delete("/v1/orders").raise_for_status()
    one = alice.post(SHORT, content=body, headers={"Content-Type": "application/json"})
    alice.delete("/v1/orders").raise_for_status()
    other = alice.post(LONG, content=body, headers={"Content-Type": "application/json"})
    assert one.status_code == other.status_code < 500, (one.text, other.text)
    assert one.headers["content-type"] == other.headers["content-type"]
    assert told(one.json()) == told(other.json())


def told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in NOT_THE_SAME}


def test_both_refuse_a_body_that_is_too_large(alice: Client) -> None:
    body = b" " * MAX_BODY_BYTES + json.dumps(ORDER).encode()
    assert [alice.post(path, content=body).status_code for path in (SHORT, LONG)] == [413, 413]


def test_both_refuse_who_says_nothing_of_himself_or_signed_something_else(alice: Client, nobody: Client) -> None:
    for path in (SHORT, LONG):
        assert nobody.post(path, json=ORDER).status_code == 401
        request = alice.build_request("POST", path, json=ORDER)
        alice.signed(request)
        changed = alice.build_request("POST", path, json={**ORDER, "quantity": "6"}, headers=request.headers)
        changed.headers["Content-Length"] = str(len(changed.content))
        assert nobody.send(changed).status_code == 401


def test_by_a_session_too(nobody: Client) -> None:
    begun = nobody.post("/v1/sessions", json={"user": "alice", "password": PASSWORD}).json()
    answer = nobody.post(SHORT, json=ORDER, headers={"Authorization": f"Bearer {begun['token']}"})
    assert answer.json()["status"] == "accepted"


def test_the_same_command_sent_by_either_way_is_done_once(alice: Client) -> None:
    one, other = (alice.post(path, json={**ORDER, "command_id": "4711"}).json() for path in (SHORT, LONG))
    assert (one["status"], other["status"]) == ("accepted", "repeated")
    assert one["order"] == other["order"]
