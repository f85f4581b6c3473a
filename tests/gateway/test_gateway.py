"""Gateways of a stack, as processes beside a worker: what one does the others show."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from picows import WSMsgType

from adapters.registry.aggregates import Account
from adapters.registry.credentials import Issued
from adapters.registry.registry import Registry
from adapters.stack.stack import Stack
from commands import batch
from commands.codec import to_row
from commands.messages import NewOrder
from domain.events import ORDER_ACCEPTED
from tests.doors.house import PASSWORD
from tests.doors.sockets import connected, run
from tests.doors.test_ws_batch import acknowledged
from tests.gateway.venue import ORDER, Venue, redis_of
from tests.servers.fixtures import Database
from tests.servers.market import OUTCRY, begin
from tests.servers.test_views import own_cluster
from tests.waiting import eventually


@pytest.fixture
def venue(served: Venue) -> Venue:
    return served


def test_an_order_at_one_gateway_is_on_record_in_the_book_of_the_other_and_told_to_its_owner_there(venue: Venue) -> None:
    one, two = venue.gateways["one"], venue.gateways["two"]

    async def given() -> None:
        async with connected(two) as socket:
            await socket.logged_in(venue.keys["alice"])
            await socket.asks(op="subscribe", channels=["user"])
            with venue.client(one, "alice") as alice, venue.client(two, "bob") as bob:
                done = await asyncio.to_thread(venue.trade, alice, command_id="7", price="3.50")
                assert (done["status"], done["durability"]) == ("accepted", "postgres fsync")
                outcome = venue.recorded(1, 7)
                assert outcome is not None
                assert (outcome.block_seq, str(outcome.events[0].fields["order"])) == (done["seq"], done["order"])
                book = bob.get("/v1/instruments/ACME/book", params={"at_least": done["seq"]}).json()
                assert {"price": "3.50", "quantity": "5", "orders": 1} in book["bids"]
            told = await socket.until(channel="user", seq=done["seq"])
            assert [each["order"] for each in told["orders"]] == [done["order"]]

    run(given())


def account(name: str, users: list[str]) -> dict[str, object]:
    """To be registered."""
    return {"name": name, "firm": "acme", "users": users, "reason": "a test"}


def test_what_is_sent_again_at_another_gateway_is_done_once(venue: Venue) -> None:
    with venue.client(venue.gateways["one"], "alice") as here, venue.client(venue.gateways["two"], "alice") as there:
        done = venue.trade(here, command_id="70")
        again = there.post("/v1/orders", json=ORDER | {"command_id": "70"}).json()
        assert (again["status"], again["order"]) == ("repeated", done["order"])
        asked = there.get("/v1/commands/70", params={"at_least": done["seq"]}).json()
        assert (asked["status"], asked["order"], asked["seq"]) == ("accepted", done["order"], done["seq"])


def test_of_batches_that_are_the_same_at_two_gateways_each_gets_its_own_outcomes(venue: Venue) -> None:
    """Rows without names: nothing but what came of them tells them apart."""
    frame = batch.encode(to_row(NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100)) * 10)

    async def orders(gateway: str) -> list[int]:
        async with connected(venue.gateways[gateway]) as socket:
            await socket.logged_in(venue.keys["alice"])
            for _ in range(30):
                socket.transport.send(WSMsgType.BINARY, frame)
                await asyncio.sleep(0)  # another batch for the desk
            found = [acknowledged(await socket.frame()) for _ in range(30)]
            assert all(kinds == [ORDER_ACCEPTED] * 10 for kinds, _, _ in found)
            return [order for _, details, _ in found for order in details]

    async def given() -> None:
        with venue.client(venue.gateways["one"], "alice") as alice:
            await asyncio.to_thread(venue.trade, alice)
        ones, twos = await asyncio.gather(orders("one"), orders("two"))
        assert len({*ones, *twos}) == 600

    run(given())


def test_what_is_registered_at_one_gateway_is_known_to_the_other_and_to_the_partition(venue: Venue) -> None:
    with venue.client(venue.gateways["one"], "root") as root, venue.client(venue.gateways["two"], "alice") as alice:
        made = root.post("/v1/accounts", json=account("more", ["root", "alice"]))
        assert made.status_code == 201, made.text
        number = made.json()["number"]
        eventually(lambda: number in {each["account"] for each in alice.get("/v1/me").json()["accounts"]})
        eventually(lambda: alice.post("/v1/deposits", json={"account": number, "asset": "USD", "amount": "1000.00"}).status_code == 200)
        assert venue.trade(alice, account=number, command_id="8")["status"] == "accepted"
        assert venue.recorded(number, 8) is not None
        root.put("/v1/accounts/more/status", json={"status": "closed", "reason": "a test"})


def test_two_gateways_that_register_at_once_give_out_no_number_twice(venue: Venue) -> None:
    def register(gateway: str) -> list[int]:
        with venue.client(venue.gateways[gateway], "root") as root:
            answers = [root.post("/v1/accounts", json=account(f"{gateway}-{number}", ["bob"])) for number in range(20)]
            assert [each.status_code for each in answers] == [201] * 20, [each.text for each in answers]
            return [each.json()["number"] for each in answers]

    with ThreadPoolExecutor() as pool:
        ones, twos = pool.map(register, ("one", "two"))
    assert len({*ones, *twos}) == 40
    with closing(venue.market.record()) as log:
        recorded = {each.number for each in Registry(log).all(Account)}
    assert {*ones, *twos} <= recorded


def test_a_session_is_good_at_every_gateway_and_ended_at_all(venue: Venue) -> None:
    one, two = (venue.gateways[name].address for name in ("one", "two"))
    begun = httpx.post(f"{one}/v1/sessions", json={"user": "alice", "password": PASSWORD})
    assert begun.status_code == 201, begun.text
    said = {"Authorization": f"Bearer {begun.json()['token']}"}
    assert httpx.get(f"{two}/v1/me", headers=said).json()["user"] == "alice"
    assert httpx.delete(f"{two}/v1/sessions/current", headers=said).is_success
    assert httpx.get(f"{one}/v1/me", headers=said).status_code == 401


def test_gateways_are_announced_beside_workers_with_what_waits_at_their_desks(venue: Venue) -> None:
    shown = json.loads(venue.market.outcry("top", "--once", "--json").stdout)
    states = {each["worker"]: each["not_ready"] for each in shown["workers"]}
    assert states == {"owner": [], "one": [], "two": []}
    metrics = httpx.get(f"http://127.0.0.1:{venue.gateways['one'].port}/metrics").text
    assert 'outcry_door_waiting_commands{partition="1"} 0.0' in metrics
    assert 'outcry_door_cut{partition="1"} 0.0' in metrics


def test_the_record_with_its_registry_is_verified_and_archived(venue: Venue) -> None:
    """The registry's partition is no market: whoever reads all partitions must know."""
    verified = json.loads(venue.market.outcry("verify", "--json").stdout)
    assert verified["ok"], verified
    archived = venue.market.outcry("archive", "--until", "now", "--json")
    assert archived.returncode == 0, archived.stderr


def test_a_stack_to_try_is_opened_with_keys_and_what_to_type(
    views_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path
) -> None:
    """What it prints is typed as it stands, once a worker owns the partition; the next time the keys are good still."""
    own_cluster(database)
    market = begin(views_stack, database, topic_prefix, tmp_path, 1, **redis_of(views_stack))
    with closing(Venue(market, {})) as venue:
        gateway = venue.gateway("one", "--demo")
        market.serve("owner")
        kept = json.loads((tmp_path / "keys" / "alice.json").read_text())
        venue.keys["alice"] = Issued(kept["key"], kept["secret"], kept["passphrase"])
        with venue.client(gateway, "alice") as alice:
            venue.trade(alice)
        curl, order, _watch = [line.strip() for line in (tmp_path / "one.log").read_text().splitlines() if line.startswith("  ")]
        environment = os.environ | {"PATH": f"{OUTCRY.parent}:{os.environ['PATH']}"}
        typed = subprocess.run(["bash", "-ec", f"{curl}\n{order} --json"], env=environment, capture_output=True, text=True, check=True)
        assert '"symbol":"ACME"' in typed.stdout
        assert '"resting":true' in typed.stdout.replace(" ", "")
        assert gateway.stop() == 0
        with venue.client(venue.gateway("one", "--demo"), "alice") as alice:
            assert venue.trade(alice)["status"] == "accepted"
