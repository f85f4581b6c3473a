"""A server that a gateway stands on is stopped, and comes back: what goes on, what is refused and how, and that nothing is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.stack.postgres import MIGRATOR
from adapters.stack.stack import Stack
from eventstore.migrate import migrate
from tests.doors.house import PASSWORD, Client
from tests.gateway.venue import ORDER, Venue, priced, redis_of, registered
from tests.servers.fixtures import _database
from tests.servers.market import begin
from tests.servers.test_views import own_cluster
from tests.waiting import eventually


@pytest.fixture
def venue(servers: Stack, topic_prefix: str, tmp_path: Path) -> Iterator[Venue]:
    """A venue of one test with a worker and a gateway, on servers that it may stop."""
    servers.up()
    with _database(servers, "template0") as database:
        migrate(database.dsn(MIGRATOR))
        own_cluster(database)
        with closing(registered(begin(servers, database, topic_prefix, tmp_path, 1, **redis_of(servers)))) as made:
            made.market.serve("owner")
            made.gateway("one")
            yield made
        servers.up()


class Trader:
    """Sends orders, each known by its price, and remembers what was told of them."""

    def __init__(self, venue: Venue, client: Client) -> None:
        self._venue, self._client = venue, client
        self._number = 0
        self.told: dict[int, dict[str, Any]] = {}
        venue.trade(client, command_id=str(2**40))

    def order(self) -> httpx.Response:
        """The next one."""
        self._number += 1
        answer = self._client.post("/v1/orders", json=ORDER | priced(self._number))
        self.told[self._number] = answer.json() | {"http": answer.status_code}
        return answer

    def goes_on(self) -> None:
        """Once the next order is accepted, those that were not are sent again: each is entered once."""
        eventually(lambda: self.order().status_code == 200)
        again = {number: self._venue.trade(self._client, **priced(number)) for number, each in self.told.items() if each["http"] != 200}
        assert self._venue.doubts(self.told | again) == []


def is_refused(answer: httpx.Response) -> bool:
    """Not executed, and when to come again."""
    return (answer.status_code, answer.json().get("outcome"), answer.headers.get("retry-after")) == (503, "none", "1")


def test_without_kafka_orders_are_refused_and_whoever_reads_is_answered(venue: Venue, servers: Stack) -> None:
    one = venue.gateways["one"]
    with venue.client(one, "alice") as alice:
        trader = Trader(venue, alice)

        servers.servers["kafka-1"].stop()

        eventually(lambda: is_refused(trader.order()))
        assert all(is_refused(trader.order()) for _ in range(3))
        assert alice.get("/v1/me").status_code == 200
        assert alice.get("/v1/instruments/ACME/book").status_code == 200
        assert not one.is_ready()
        assert 'outcry_door_cut{partition="1"} 1.0' in httpx.get(f"http://127.0.0.1:{one.port}/metrics").text
        servers.up()
        trader.goes_on()
        eventually(one.is_ready)


def test_without_redis_keys_go_on_and_sessions_say_so_and_come_back(venue: Venue, servers: Stack) -> None:
    one = venue.gateways["one"]
    token = httpx.post(f"{one.address}/v1/sessions", json={"user": "alice", "password": PASSWORD}).json()["token"]
    said = {"Authorization": f"Bearer {token}"}
    with venue.client(one, "alice") as alice:
        trader = Trader(venue, alice)

        servers.servers["redis"].stop()

        assert trader.order().status_code == 200
        refused = httpx.get(f"{one.address}/v1/me", headers=said)
        assert refused.status_code == 503
        assert "sessions are in Redis, which does not answer" in refused.json()["detail"]
        number = trader.told[1]["order"]
        assert alice.get(f"/v1/orders/{number}").json()["order"] == number
        servers.up()
        eventually(lambda: httpx.get(f"{one.address}/v1/me", headers=said).status_code == 200)
        trader.goes_on()


def test_without_the_record_nothing_is_said_to_be_done_and_all_of_it_is_done_once(venue: Venue, servers: Stack) -> None:
    one = venue.gateways["one"]
    with venue.client(one, "alice") as alice, venue.client(one, "root") as root:
        trader = Trader(venue, alice)

        servers.servers["postgres"].stop()

        doubtful = trader.order()
        assert (doubtful.status_code, doubtful.json()["outcome"]) == (503, "unknown")
        assert f"GET /v1/commands/{priced(1)['command_id']}" in doubtful.json()["detail"]
        assert is_refused(trader.order())
        assert alice.get("/v1/me").status_code == 200
        firm = root.post("/v1/firms", json={"name": "more", "reason": "a test"})
        assert firm.status_code == 503, firm.text
        servers.up()
        trader.goes_on()
        eventually(lambda: root.post("/v1/firms", json={"name": "another", "reason": "a test"}).status_code == 201)
