"""REST as clients see it: served over HTTP, in front of a real partition; every answer is checked against what the record says."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from commands.outcomes import of_command_id
from tests.doors.house import PASSWORD, Client, Served


def order(**terms: Any) -> dict[str, Any]:
    return {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50", **terms}


def entered(client: Client, **terms: Any) -> dict[str, Any]:
    answer = client.post("/v1/orders", json=order(**terms))
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, "application/problem+json"), answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


# -- orders -------------------------------------------------------------------------------------------------------------


def test_an_order_that_was_answered_is_on_record(house: Served, alice: Client) -> None:
    done = entered(alice, command_id="77")
    outcome = of_command_id(house.log.read(1), account=1, command_id=77)
    assert outcome is not None
    assert (done["seq"], done["order"]) == (outcome.block_seq, str(outcome.events[0].fields["order"]))
    assert (done["status"], done["resting"], done["durability"]) == ("accepted", True, house.log.durability)


def test_the_same_command_sent_again_changes_nothing(house: Served, alice: Client) -> None:
    first, again = (entered(alice, command_id="77") for _ in range(2))
    assert (again["status"], again["order"]) == ("repeated", first["order"])
    assert len(alice.get("/v1/orders").json()["orders"]) == 1


def test_a_command_without_an_id_is_told_the_one_it_got(house: Served, alice: Client) -> None:
    done = entered(alice)
    assert of_command_id(house.log.read(1), account=1, command_id=int(done["command_id"])) is not None


def test_a_trade_is_answered_with_price_quantity_and_fee(alice: Client, bob: Client) -> None:
    maker = entered(alice)
    done = entered(bob, side="sell", quantity="2", price="12.00")
    (fill,) = done["fills"]
    assert (fill["price"], fill["quantity"], fill["fee"], fill["maker_order"]) == ("12.50", "2", "0.01", maker["order"])
    assert done["resting"] is False
    (trade,) = bob.get("/v1/instruments/ACME/trades", params={"at_least": done["seq"]}).json()["trades"]
    assert (trade["number"], trade["price"], trade["side"]) == (fill["number"], "12.50", "sell")


def test_a_rule_that_refuses_is_named_with_what_it_allows_and_saw(alice: Client) -> None:
    found = problem(alice.post("/v1/orders", json=order(side="sell", quantity="10001")), 422)
    assert (found["rule"], found["limit"], found["observed"]) == ("insufficient_funds", 10_000, 10_001)


def test_a_refusal_sent_again_is_the_same_refusal(alice: Client) -> None:
    for _ in range(2):
        found = problem(alice.post("/v1/orders", json=order(side="sell", quantity="10001", command_id="5")), 422)
        assert (found["rule"], found["command_id"]) == ("insufficient_funds", "5")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"price": "12.505"}, "price 12.505 is not a multiple of the tick 0.01; the nearest are 12.50 and 12.51"),
        ({"quantity": "0"}, "quantity '0' is not above 0"),
        ({"price": ""}, "a market buy has a budget"),
        ({"side": "hold"}, "Invalid enum value 'hold'"),
        ({"expires": "tomorrow"}, "'tomorrow' is no time"),
        ({"command_id": "-1"}, "command_id"),
        ({"command_id": "9999999999999999999"}, "right would be a number from 1 to 9223372036854775807"),
        ({"quantity": 5}, "Expected `str`, got `int`"),
        ({"deadline_ms": 10**9}, "deadline_ms"),
    ],
)
def test_bad_input_is_told_what_is_wrong_and_changes_nothing(house: Served, alice: Client, wrong: dict[str, Any], says: str) -> None:
    before = house.writer.head
    assert says in problem(alice.post("/v1/orders", json=order(**wrong)), 400)["detail"]
    assert house.writer.head == before


def test_what_is_said_twice_in_a_query_is_refused_for_nobody_knows_which_counts(alice: Client) -> None:
    refused = alice.get("/v1/orders?account=1&account=2")
    assert refused.status_code == 400
    assert "account is said 2 times in the query; right would be once" in refused.json()["detail"]


def test_an_instrument_that_is_not_listed_is_not_found(alice: Client) -> None:
    assert "'NOPE'" in problem(alice.post("/v1/orders", json=order(symbol="NOPE")), 404)["detail"]


def test_an_order_is_replaced_reduced_and_cancelled(alice: Client) -> None:
    number = entered(alice)["order"]
    alice.patch(f"/v1/orders/{number}", json={"price": "12.40", "quantity": "4"}).raise_for_status()
    done = alice.patch(f"/v1/orders/{number}", json={"reduce_by": "1"}).raise_for_status().json()
    shown = alice.get(f"/v1/orders/{number}", params={"at_least": done["seq"]}).json()
    assert (shown["price"], shown["open_quantity"], shown["status"]) == ("12.40", "3", "open")
    done = alice.delete(f"/v1/orders/{number}").raise_for_status().json()
    shown = alice.get(f"/v1/orders/{number}", params={"at_least": done["seq"]}).json()
    assert (shown["open_quantity"], shown["status"]) == ("0", "cancelled")


def test_orders_are_cancelled_by_client_order_id_by_instrument_and_all_at_once(alice: Client) -> None:
    entered(alice, client_order_id="7")
    (done,) = alice.delete("/v1/orders", params={"client_order_id": "7", "symbol": "ACME"}).raise_for_status().json()
    assert done["verb"] == "CancelOrder"
    for _ in range(3):
        entered(alice)
    (done,) = alice.delete("/v1/orders").raise_for_status().json()
    assert alice.get("/v1/orders", params={"at_least": done["seq"]}).json()["orders"] == []


def test_a_batch_is_decided_in_its_order_with_an_outcome_each(alice: Client) -> None:
    orders = [order(price="12.00"), order(price="1.001"), order(side="sell", quantity="10001"), order(price="12.01")]
    outcomes = alice.post("/v1/orders/batch", json={"orders": orders}).raise_for_status().json()["outcomes"]
    assert [(each["problem"] or {}).get("status") for each in outcomes] == [None, 400, 422, None]
    first, last = outcomes[0]["done"], outcomes[3]["done"]
    assert int(first["event"]) < int(last["event"])


def test_a_command_whose_deadline_passed_is_refused_and_not_executed(house: Served, alice: Client) -> None:
    """The desk is what knows: a deadline of a millisecond has often passed, one of a minute has not."""
    assert entered(alice, deadline_ms=60_000)["status"] == "accepted"
    answers = [alice.post("/v1/orders", json=order(deadline_ms=1)) for _ in range(30)]
    late = [answer for answer in answers if answer.status_code == 408]
    assert all(answer.json()["outcome"] == "none" for answer in late)
    at_least = house.writer.head.seq
    assert len(alice.get("/v1/orders", params={"at_least": at_least}).json()["orders"]) == 1 + len(answers) - len(late)


# -- what is seen -------------------------------------------------------------------------------------------------------


def test_the_book_is_seen_by_anybody_as_of_a_block(nobody: Client, alice: Client, bob: Client) -> None:
    entered(alice)
    entered(alice, quantity="2")
    done = entered(bob, side="sell", price="13.00")
    book = nobody.get("/v1/instruments/ACME/book", params={"at_least": done["seq"]}).json()
    assert book["bids"] == [{"price": "12.50", "quantity": "7", "orders": 2}]
    assert book["asks"] == [{"price": "13.00", "quantity": "5", "orders": 1}]
    assert book["as_of"]["seq"] >= done["seq"]


def test_a_block_that_is_not_there_yet_is_waited_for_and_then_told(nobody: Client) -> None:
    found = problem(nobody.get("/v1/instruments/ACME/book", params={"at_least": 10**6}), 503)
    assert "as of block 1000000 or later" in found["detail"]


def test_bars_and_statistics_sum_the_trades(nobody: Client, alice: Client, bob: Client) -> None:
    entered(alice, quantity="10")
    entered(bob, side="sell", quantity="4")
    done = entered(bob, side="sell", quantity="6")
    bars = nobody.get("/v1/instruments/ACME/bars", params={"interval": "1d", "at_least": done["seq"]}).json()["bars"]
    assert [(each["volume"], each["turnover"], each["trades"], each["vwap"]) for each in bars] == [("10", "125.00", 2, "12.5")]
    assert nobody.get("/v1/instruments/ACME/statistics").json()["day"]["volume"] == "10"


def test_balances_and_statement_agree_with_the_trade(alice: Client, bob: Client) -> None:
    entered(alice)
    done = entered(bob, side="sell")
    (partition,) = alice.get("/v1/balances", params={"at_least": done["seq"]}).json()["partitions"]
    assert partition["balances"] == [
        {"asset": "USD", "available": "999937.49", "held": "0.00"},
        {"asset": "ACME", "available": "10005", "held": "0"},
    ]
    text = alice.get("/v1/statements", params={"format": "csv", "at_least": done["seq"]}).text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [(line["asset"], line["total"]) for line in lines[:2]] == [("USD", "999937.49"), ("ACME", "10005")]
    (execution,) = alice.get("/v1/executions", params={"at_least": done["seq"]}).json()["executions"]
    assert (execution["liquidity"], execution["fee"]) == ("maker", "0.01")


def test_funds_come_and_go_in_test_mode(house: Served, alice: Client) -> None:
    alice.post("/v1/deposits", json={"asset": "USD", "amount": "10.50"}).raise_for_status()
    found = problem(alice.post("/v1/withdrawals", json={"asset": "USD", "amount": "2000000"}), 422)
    assert found["rule"] == "insufficient_funds"
    house.house.test_mode = False
    assert problem(alice.post("/v1/deposits", json={"asset": "USD", "amount": "1"}), 403)


# -- who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/executions", "/v1/balances", "/v1/statements", "/v1/me", "/v1/keys", "/v1/sessions"])
def test_nobody_sees_what_is_somebodys(nobody: Client, path: str) -> None:
    answer = nobody.get(path)
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_account_of_another_is_refused_at_the_door(house: Served, alice: Client) -> None:
    before = house.writer.head
    assert "account 2 is not one of yours" in problem(alice.post("/v1/orders", json=order(account=2)), 403)["detail"]
    assert problem(alice.get("/v1/balances", params={"account": 2}), 403)
    assert house.writer.head == before


def test_an_order_of_another_is_not_found_and_not_cancelled(alice: Client, bob: Client) -> None:
    number = entered(alice)["order"]
    assert problem(bob.get(f"/v1/orders/{number}"), 404)
    assert problem(bob.delete(f"/v1/orders/{number}"), 422)["rule"] == "unknown_order"


def test_a_key_that_may_only_read_does_not_trade(house: Served) -> None:
    with house.client("alice", scopes=["read"]) as reader:
        assert reader.get("/v1/orders").status_code == 200
        assert "needs the scope trade" in problem(reader.post("/v1/orders", json=order()), 403)["detail"]


def test_who_logs_in_trades_until_he_logs_out(house: Served, nobody: Client) -> None:
    begun = nobody.post("/v1/sessions", json={"user": "alice", "password": PASSWORD}).raise_for_status().json()
    head = {"Authorization": f"Bearer {begun['token']}"}
    assert nobody.post("/v1/orders", json=order(), headers=head).status_code == 200
    assert len(nobody.get("/v1/sessions", headers=head).json()) == 1
    assert nobody.delete("/v1/sessions/current", headers=head).status_code == 204
    assert problem(nobody.get("/v1/me", headers=head), 401)


def test_a_wrong_password_is_refused_and_on_record(house: Served, nobody: Client) -> None:
    problem(nobody.post("/v1/sessions", json={"user": "alice", "password": "wrong"}), 401)
    *_, last = house.registry.recorded()
    assert (type(last.event).__name__, last.event.why) == ("LoginRefused", "password")


def test_guesses_are_told_to_wait(nobody: Client) -> None:
    answers = [nobody.post("/v1/sessions", json={"user": "alice", "password": "wrong"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_a_key_makes_keys_that_may_no_more_and_ends_them(house: Served, alice: Client) -> None:
    made = alice.post("/v1/keys", json={"scopes": ["read"]}).raise_for_status().json()
    assert {"key", "secret", "passphrase"} == set(made)
    assert problem(alice.post("/v1/keys", json={"scopes": ["administer"]}), 403)
    assert alice.delete(f"/v1/keys/{made['key']}").status_code == 204
    assert problem(alice.delete("/v1/keys/nothing"), 404)


def test_a_rotated_key_lives_for_its_overlap(alice: Client) -> None:
    made = alice.post("/v1/keys", json={}).raise_for_status().json()
    new = alice.post(f"/v1/keys/{made['key']}/rotation", json={"overlap_s": 0}).raise_for_status().json()
    shown = {each["key"]: each["expires"] for each in alice.get("/v1/keys").json()}
    assert shown[made["key"]]
    assert shown[new["key"]] == ""


def test_who_administers_registers_and_it_is_on_record(house: Served, root: Client, alice: Client) -> None:
    root.post("/v1/users", json={"name": "carol", "firm": "acme", "roles": ["trader"], "reason": "new"}).raise_for_status()
    made = root.post("/v1/accounts", json={"name": "carol", "firm": "acme", "users": ["carol"], "reason": "new"}).raise_for_status().json()
    assert made["number"] == 3
    assert problem(root.post("/v1/users", json={"name": "carol", "firm": "acme", "roles": [], "reason": "again"}), 409)
    assert problem(alice.post("/v1/firms", json={"name": "mine", "reason": "why not"}), 403)
    *_, last = house.registry.recorded()
    assert (last.event.actor, last.event.reason) == ("root", "new")


# -- how often ----------------------------------------------------------------------------------------------------------


def test_who_asks_too_often_is_told_when_to_come_back(house: Served, nobody: Client) -> None:
    rate = house.house.by_address.rate
    house.house.by_address.take("address 127.0.0.1", 0.0, rate.burst)
    house.house.by_address._buckets["address 127.0.0.1"] = (-100.0 * rate.per_s, 1e12)
    answer = nobody.get("/v1/time")
    assert "may ask 2000 times a second" in problem(answer, 429)["detail"]
    assert int(answer.headers["retry-after"]) >= 100


# -- the document -------------------------------------------------------------------------------------------------------


def test_the_document_is_openapi_3_1_and_names_every_route(nobody: Client) -> None:
    document = nobody.get("/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/v1/orders", "/v1/orders/{order}", "/v1/instruments/{symbol}/book", "/v1/sessions"} <= set(document["paths"])
