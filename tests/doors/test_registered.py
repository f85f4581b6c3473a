"""What operators, administrators and compliance see and do, and what everybody does with his own password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyotp
import pytest

from adapters.doors.embedded import forwarding
from adapters.registry.aggregates import User
from tests.doors.house import BY, PASSWORD, Client, Served, served

NEW = "a longer horse battery"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Whose partition is told what is registered."""
    with served(tmp_path_factory.mktemp("house")) as made, forwarding(made.registry, made.writer, 1):
        yield made


@pytest.fixture
def carla(house: Served) -> Iterator[Client]:
    """Compliance."""
    house.registry.add(User("carla", "acme", ["compliance"], *BY))
    with house.client("carla", scopes=["read", "audit"]) as client:
        yield client


def login(client: Client, secret: str, code: str = "") -> dict[str, str]:
    """The header of a session."""
    begun = client.post("/v1/sessions", json={"user": "alice", "password": secret, "code": code}).raise_for_status().json()
    return {"Authorization": f"Bearer {begun['token']}"}


def available(client: Client) -> str:
    found = client.get("/v1/balances").json()["partitions"][0]["balances"]
    return next(str(each["available"]) for each in found if each["asset"] == "USD")


def test_an_operator_brings_and_takes_funds_and_it_is_on_record(root: Client, alice: Client, carla: Client) -> None:
    before = float(available(alice))
    asked: dict[str, Any] = {"asset": "USD", "amount": "12.34", "reason": "wire 77"}
    root.post("/v1/accounts/alice/funds", json=asked).raise_for_status()
    while float(available(alice)) == before:
        pass
    assert round(float(available(alice)) - before, 2) == 12.34
    root.post("/v1/accounts/alice/funds", json={**asked, "is_taken": True}).raise_for_status()
    while float(available(alice)) != before:
        pass
    told = [each for each in carla.get("/v1/acts").json()["acts"] if each["event"] == "FundsMoved"]
    assert [(each["actor"], each["reason"], each["what"]["amount"]) for each in told] == [
        ("root", "wire 77", "-1234"),
        ("root", "wire 77", "1234"),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/accounts/alice/funds", {"asset": "USD", "amount": "1.00", "reason": "mine"}),
        ("/v1/accounts/bob/users", {"users": ["alice"], "reason": "mine"}),
        ("/v1/users/alice/roles", {"roles": ["admin"], "reason": "mine"}),
    ],
)
def test_who_trades_does_not_operate(alice: Client, path: str, body: dict[str, Any]) -> None:
    answer = alice.post(path, json=body) if path.endswith("funds") else alice.put(path, json=body)
    assert answer.status_code == 403
    assert {alice.get(each).status_code for each in ("/v1/users", "/v1/accounts", "/v1/acts")} == {403}


def test_who_trades_for_an_account_is_set_and_holds_at_once(root: Client, alice: Client, bob: Client) -> None:
    root.put("/v1/accounts/alice/users", json={"users": ["bob"], "reason": "on leave"}).raise_for_status()
    assert alice.get("/v1/balances", params={"account": 1}).status_code == 403
    assert bob.get("/v1/balances", params={"account": 1}).status_code == 200
    assert [each["users"] for each in root.get("/v1/accounts").json() if each["name"] == "alice"] == [["bob"]]
    assert root.put("/v1/accounts/alice/users", json={"users": ["zoe"], "reason": "x"}).status_code == 404


def test_roles_that_are_taken_away_are_gone_at_once_also_from_keys(root: Client, alice: Client) -> None:
    root.put("/v1/users/alice/roles", json={"roles": ["compliance"], "reason": "moved"}).raise_for_status()
    order = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
    assert alice.post("/v1/orders", json=order).status_code == 403
    assert [each["roles"] for each in root.get("/v1/users").json() if each["name"] == "alice"] == [["compliance"]]


def test_acts_are_seen_page_by_page_and_show_no_secret(house: Served, carla: Client, nobody: Client) -> None:
    login(nobody, PASSWORD)
    first = carla.get("/v1/acts", params={"limit": 3}).json()
    second = carla.get("/v1/acts", params={"limit": 3, "cursor": first["next"]}).json()
    numbers = [each["number"] for each in (*first["acts"], *second["acts"])]
    assert numbers == list(range(house.registry.seen, house.registry.seen - 6, -1))
    said = carla.get("/v1/acts", params={"limit": 1_000}).text
    assert '"LoggedIn"' in said
    assert "$argon2" not in said
    assert house.registry.get(User, "alice").password not in said


def test_a_password_is_changed_by_who_knows_it_and_sessions_end(alice: Client, nobody: Client) -> None:
    mine = login(nobody, PASSWORD)
    wrong = {"password": "not the password", "new_password": NEW}
    assert nobody.put("/v1/me/password", json=wrong, headers=mine).status_code == 401
    assert alice.put("/v1/me/password", json={"password": PASSWORD, "new_password": NEW}).status_code == 403, "a key does not suffice"
    assert nobody.put("/v1/me/password", json={"password": PASSWORD, "new_password": NEW}, headers=mine).status_code == 204
    assert nobody.get("/v1/me", headers=mine).status_code == 401
    assert nobody.get("/v1/me", headers=login(nobody, NEW)).status_code == 200


def test_a_second_factor_is_asked_for_from_then_on(nobody: Client) -> None:
    made = nobody.post("/v1/me/second-factor", json={"password": PASSWORD}, headers=login(nobody, PASSWORD)).raise_for_status().json()
    totp = pyotp.parse_uri(made["address"])
    assert isinstance(totp, pyotp.TOTP)
    assert nobody.post("/v1/sessions", json={"user": "alice", "password": PASSWORD}).status_code == 401
    assert nobody.get("/v1/me", headers=login(nobody, PASSWORD, totp.now())).status_code == 200
