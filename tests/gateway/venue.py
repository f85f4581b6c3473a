"""A venue of a stack: registered people with keys, an instrument that is open, workers and gateways as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from confluent_kafka import Consumer, TopicPartition

from adapters.registry import seal
from adapters.registry.aggregates import Account, Asset, Firm, Listing, Scope, User
from adapters.registry.credentials import Credentials, Issued
from adapters.registry.registry import Registry
from adapters.stack.stack import Stack
from commands.codec import events
from commands.outcomes import Outcome, of_command_id
from eventstore.topics import commands_topic
from tests.adapters.test_forwarder import TERMS
from tests.doors.house import BY, PASSWORD, Client
from tests.servers.market import OUTCRY, StackMarket
from tests.waiting import PATIENCE_S, eventually

ORDER = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
SCOPES: dict[str, list[Scope]] = {"root": ["read", "operate", "administer"]}
ACCOUNTS = {"alice": 1, "bob": 2}


@dataclass
class Gateway:
    """`outcry gateway` as a process of a test."""

    name: str
    process: subprocess.Popen[bytes]
    folder: Path
    rest_port: int = 0
    ws_port: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        """Of its REST."""
        return f"http://127.0.0.1:{self.rest_port}"

    def log(self) -> list[dict[str, Any]]:
        """What it wrote to stderr."""
        return [json.loads(line) for line in (self.folder / f"{self.name}.log").read_text().splitlines() if line.startswith("{")]

    def is_ready(self) -> bool:
        """Whether it says so."""
        return httpx.get(f"http://127.0.0.1:{self.port}/ready").status_code == 200

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@dataclass
class Venue:
    """keys: by user."""

    market: StackMarket
    keys: dict[str, Issued]
    gateways: dict[str, Gateway] = field(default_factory=dict)

    def gateway(self, name: str, *options: str) -> Gateway:
        """Start one and wait until it is ready."""
        with (self.market.folder / f"{name}.log").open("wb") as log:
            environment = os.environ | self.market.environment | {"OUTCRY_WORKER": name}
            process = subprocess.Popen([OUTCRY, "gateway", *options], env=environment, stdout=subprocess.DEVNULL, stderr=log)
        made = self.gateways[name] = Gateway(name, process, self.market.folder)

        def opened() -> bool:
            assert process.poll() is None, (self.market.folder / f"{name}.log").read_text()
            for line in made.log():
                if line["message"] == "doors are open":
                    made.rest_port, made.ws_port, made.port = line["rest_port"], line["ws_port"], line["port"]
                    return made.is_ready()
            return False

        eventually(opened)
        return made

    @contextmanager
    def client(self, gateway: Gateway, user: str = "") -> Iterator[Client]:
        """Who signs as *user*, or nobody."""
        with Client(gateway.address, self.keys.get(user)) as made:
            yield made

    def trade(self, client: Client, **terms: str | int) -> dict[str, Any]:
        """An order that is answered, tried again while what was registered has not reached the partition."""
        found: list[dict[str, Any]] = []

        def answered() -> bool:
            answer = client.post("/v1/orders", json=ORDER | terms)
            found.append(answer.json())
            return answer.status_code == 200

        eventually(answered)
        return found[-1]

    def recorded(self, account: int, command_id: int) -> Outcome | None:
        """What the record has of a command."""
        with closing(self.market.record()) as record:
            return of_command_id(record.read(1), account, command_id)

    def doubts(self, told: dict[int, dict[str, Any]]) -> list[str]:
        """In what the record is not what was told of orders by their numbers: each was entered once, under the order that was named."""
        entered: dict[int, list[int]] = {}
        with closing(self.market.record()) as record:
            for block in record.read(1):
                for event in events(block.rows()[1], block.first_event):
                    if event.kind == "OrderAccepted":
                        entered.setdefault(int(event.fields["price_ticks"]), []).append(int(event.fields["order"]))
        return [
            f"{number}: told {answer}, entered {entered.get(number, [])}"
            for number, answer in told.items()
            if [str(each) for each in entered.get(number, [])] != [answer.get("order")]
        ]

    def removed(self, account: int) -> list[str]:
        """Why orders of an account are in the book no more."""
        with closing(self.market.record()) as record:
            found = [event for block in record.read(1) for event in events(block.rows()[1], block.first_event)]
        return [str(event.fields["reason"]) for event in found if event.kind == "OrderRemoved" and event.fields["account"] == account]

    def sent(self) -> int:
        """How many batches the topic of commands has taken."""
        settings = self.market.settings
        consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "none"})
        try:
            _, high = consumer.get_watermark_offsets(TopicPartition(commands_topic(1, settings.topic_prefix), 0), PATIENCE_S)
        finally:
            consumer.close()
        return int(high)

    def close(self) -> None:
        for gateway in self.gateways.values():
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.process.wait()
        self.market.close()


def registered(market: StackMarket) -> Venue:
    """A venue whose partition is told what is registered by its first worker."""
    with closing(market.record()) as log:
        registry = Registry(log)
        registry.add(
            Firm("acme", *BY),
            *(User(name, "acme", ["trader"], *BY) for name in ACCOUNTS),
            User("root", "acme", ["admin", "operator"], *BY),
            *(Account(name, number, "acme", [name], 0, *BY) for name, number in ACCOUNTS.items()),
            Asset("USD", 1, 2, *BY),
            Asset("ACME", 2, 0, *BY),
            Listing("ACME", 1, TERMS, "", "", *BY),
        )
        for name in ACCOUNTS:
            registry.change(Account, name, _fund)
        registry.change(Listing, "ACME", lambda listing: listing.ask_state("open", *BY))
        quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        credentials = Credentials(registry, seal.of_folder(market.folder), quick)
        credentials.set_password("alice", PASSWORD, BY)
        keys = {name: credentials.issue(name, BY, scopes=SCOPES.get(name, ["read", "trade", "fund"])) for name in (*ACCOUNTS, "root")}
    return Venue(market, keys)


def _fund(account: Account) -> None:
    account.move_funds(1, 1, 10**9, *BY)
    account.move_funds(1, 2, 10**6, *BY)


def redis_of(stack: Stack) -> dict[str, str]:
    """The setting by which a market of a stack has Redis."""
    return {"OUTCRY_REDIS": stack.redis_url, "OUTCRY_TEST_MODE": "true"}


def priced(number: int) -> dict[str, str]:
    """An order that is known by its price, and its name."""
    return {"command_id": str(number), "quantity": "1", "price": f"{number / 100:.2f}"}


class Load:
    """Orders by several clients until it is ended, numbered from *first*; what each was told.

    told      number -> the answer and its status as "http"; nothing: the connection ended without one
    accepted  how many were
    """

    def __init__(self, venue: Venue, gateway: Gateway, user: str, first: int, clients: int = 4) -> None:
        self.told: dict[int, dict[str, Any]] = {}
        self.accepted = 0
        self._venue, self._gateway, self._user = venue, gateway, user
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(first + number, clients)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int, step: int) -> None:
        with self._venue.client(self._gateway, self._user) as client:
            while not self._end.is_set():
                try:
                    answer = client.post("/v1/orders", json=ORDER | priced(number))
                except httpx.HTTPError:
                    self.told[number] = {}
                    return
                self.told[number] = answer.json() | {"http": answer.status_code}
                self.accepted += answer.status_code == 200
                number += step

    def end(self) -> dict[int, dict[str, Any]]:
        """No more; what each was told."""
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return self.told
