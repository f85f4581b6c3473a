"""What is asked later: what became of a command, lists page by page, what one has already, and whether a gateway is fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from commands.ports import Committed
from commands.writer import Writer
from tests.doors.house import Client, Served, served


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here; each names its commands otherwise."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


def order(**terms: Any) -> dict[str, Any]:
    return {"symbol": "ACME", "side": "buy", "quantity": "1", "price": "1.00", **terms}


def entered(client: Client, **terms: Any) -> dict[str, Any]:
    done: dict[str, Any] = client.post("/v1/orders", json=order(**terms)).raise_for_status().json()
    return done


def asked(client: Client, path: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/{path}", params=params).raise_for_status().json()
    return found


# -- commands -------------------------------------------------------------------------------------------------------------


def test_a_command_that_was_accepted_is_found_by_its_id(alice: Client) -> None:
    done = entered(alice, command_id="1001")
    found = asked(alice, "commands/1001")
    assert (found["status"], found["verb"], found["detail"]) == ("accepted", "NewOrder", "OrderAccepted")
    assert {name: found[name] for name in ("order", "partition", "seq", "event")} == {
        name: done[name] for name in ("order", "partition", "seq", "event")
    }


def test_a_command_that_was_refused_is_found_with_the_rule(alice: Client) -> None:
    refusal = alice.post("/v1/orders", json=order(side="sell", quantity="10001", command_id="1002")).json()
    found = asked(alice, "commands/1002")
    assert (found["status"], found["order"]) == ("refused", "")
    assert {name: found[name] for name in ("rule", "limit", "observed")} == {name: refusal[name] for name in ("rule", "limit", "observed")}


def test_of_a_command_that_nobody_sent_it_is_said_how_far_was_looked(alice: Client, bob: Client) -> None:
    entered(alice, command_id="1003")
    found = asked(bob, "commands/1003")
    assert found["status"] == "unknown"
    assert f"not among the last 65536 commands with an id as of block {found['as_of'][0]['seq']} of partition 1" in found["detail"]


def test_of_a_repeated_command_the_first_outcome_is_told(alice: Client) -> None:
    first = entered(alice, command_id="1004")
    assert entered(alice, command_id="1004")["status"] == "repeated"
    assert asked(alice, "commands/1004")["seq"] == first["seq"]


class Slow:
    """The way to the writer, on which batches wait until they are let on."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.waits, self.goes_on = threading.Event(), threading.Event()

    def submit(self, rows: bytes) -> Future[Committed]:
        made: Future[Committed] = Future()
        threading.Thread(target=self._later, args=(rows, made)).start()
        return made

    def _later(self, rows: bytes, made: Future[Committed]) -> None:
        self.waits.set()
        assert self.goes_on.wait(20)
        made.set_result(self._writer.submit(rows).result())


def test_a_command_that_waits_for_the_record_is_open(house: Served, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(house.writer)
    monkeypatch.setattr(house.house.desks[1], "_line", slow)
    with house.client("alice") as other:
        sending = threading.Thread(target=lambda: entered(other, command_id="1005"))
        sending.start()
        assert slow.waits.wait(20)
        assert asked(alice, "commands/1005")["status"] == "open"
        assert asked(alice, "commands/1006")["status"] == "unknown"
        slow.goes_on.set()
        sending.join()
    assert asked(alice, "commands/1005")["status"] == "accepted"


# -- pages ----------------------------------------------------------------------------------------------------------------


def pages(client: Client, path: str, name: str, between: Any = lambda: None, **params: Any) -> list[dict[str, Any]]:
    """All entries, three at a time; something happens between two pages."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = asked(client, path, limit=3, cursor=cursor, **params)
        assert len(page[name]) <= 3
        found += page[name]
        cursor = page["next"]
        if not cursor:
            return found
        between()


def test_pages_of_ended_orders_hold_each_once_whatever_ends_meanwhile(alice: Client) -> None:
    def ended() -> None:
        alice.delete(f"/v1/orders/{entered(alice)['order']}").raise_for_status()

    for _ in range(7):
        ended()
    last = entered(alice)["seq"]
    before = [each["order"] for each in asked(alice, "orders", status="ended", at_least=last)["orders"]]
    found = [each["order"] for each in pages(alice, "orders", "orders", ended, status="ended")]
    assert found == before


def test_pages_of_open_orders_go_on_to_the_newest(alice: Client) -> None:
    last = [entered(alice) for _ in range(8)][-1]
    found = [each["order"] for each in pages(alice, "orders", "orders", status="open", at_least=last["seq"])]
    assert found == [each["order"] for each in asked(alice, "orders", limit=1_000)["orders"]]
    assert found[-1] == last["order"]


def test_pages_of_executions_and_statements_hold_each_once(alice: Client, bob: Client) -> None:
    for _ in range(4):
        entered(alice, side="buy", price="2.00")
        entered(bob, side="sell", price="2.00")
    last = entered(alice)["seq"]
    for path, name in (("executions", "executions"), ("statements", "lines")):
        found = pages(alice, path, name, at_least=last)
        assert found == asked(alice, path)[name]
        assert len({repr(each) for each in found}) == len(found) >= 4


@pytest.mark.parametrize("cursor", ["x", "AAAA", "=" * 40])
def test_a_cursor_that_is_none_of_ours_is_refused(alice: Client, cursor: str) -> None:
    answer = alice.get("/v1/orders", params={"cursor": cursor})
    assert (answer.status_code, "none of ours" in answer.json()["detail"]) == (400, True)


# -- what one has already -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/instruments", "/v1/instruments/ACME/book"])
def test_who_has_it_already_is_told_so_until_it_changes(alice: Client, nobody: Client, path: str) -> None:
    tag = nobody.get(path).headers["etag"]
    again = nobody.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    done = entered(alice, price="3.00")
    changed = nobody.get(path, params={"at_least": done["seq"]} if "book" in path else {}, headers={"If-None-Match": tag})
    assert changed.status_code == (200 if "book" in path else 304)


# -- health ---------------------------------------------------------------------------------------------------------------


def test_a_gateway_says_that_it_lives_and_whether_it_is_fit(house: Served, nobody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nobody.get("/live").json() == {"is_ready": True, "waits_for": []}
    assert (nobody.get("/ready").status_code, nobody.get("/ready").json()) == (200, {"is_ready": True, "waits_for": []})
    monkeypatch.setattr(house.feed, "trouble", "the brokers are away")
    answer = nobody.get("/ready")
    assert (answer.status_code, answer.json()["waits_for"]) == (503, ["partition 1: nothing is pushed: the brokers are away"])
