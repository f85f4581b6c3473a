"""A venue for tests of doors: one partition embedded, ACME listed, alice and bob with keys, and its REST served on loopback."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from argon2 import PasswordHasher

from adapters import example
from adapters.alerts import alerting
from adapters.doors.desk import Desk
from adapters.doors.dialects import Dialects
from adapters.doors.house import House
from adapters.doors.patience import Patience
from adapters.doors.reference import documented
from adapters.doors.sessions import InMemory, Sessions
from adapters.doors.ws.hub import Hub
from adapters.doors.ws.server import Limits, Server
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.registry.aggregates import Account, Asset, Firm, User
from adapters.registry.credentials import Credentials, Issued
from adapters.registry.registry import Act, Registry
from adapters.registry.seal import Seal
from commands.codec import to_row
from commands.ports import RowBytes
from commands.writer import Writer
from eventstore.blocks import Block
from eventstore.memory import MemorySnapshots
from eventstore.sqlite import SqliteLog
from projections.embedded import FOLDS

BY = Act("root", "a test")
PASSWORD = "correct horse battery"
NONCES = itertools.count()
LIMITS = Limits()


class Client(httpx.Client):
    """Signs what it asks with a key."""

    def __init__(self, address: str, issued: Issued | None = None, **more: Any) -> None:
        super().__init__(base_url=address, timeout=20, **more)
        self._issued = issued

    def send(self, request: httpx.Request, **more: Any) -> httpx.Response:
        """See httpx.Client."""
        return super().send(self.signed(request), **more)

    def signed(self, request: httpx.Request) -> httpx.Request:
        """*request*, with a signature if there is a key."""
        if self._issued is not None:
            time_ns, nonce = time.time_ns(), f"{next(NONCES)}"
            message = f"{time_ns}\n{nonce}\n{request.method}\n{request.url.raw_path.decode()}\n".encode() + request.content
            signature = b64encode(hmac.digest(b64decode(self._issued.secret), message, "sha256")).decode()
            request.headers.update({"Outcry-Key": self._issued.key, "Outcry-Time": str(time_ns), "Outcry-Nonce": nonce})
            request.headers["Outcry-Signature"] = signature
        return request


class Served:
    """A house that is served at *address*."""

    def __init__(self, folder: Path, limits: Limits = LIMITS) -> None:
        self.limits, self.patience = limits, Patience()
        self.log = SqliteLog(folder / "record.sqlite")
        self.registry_log = SqliteLog(folder / "record.sqlite")
        self.feed: Feed
        self.writer = Writer(self.log, MemorySnapshots(), 1, on_commit=self._committed)
        self.writer.submit(b"".join(map(to_row, example.commands()))).result()
        self.feed = Feed(1, self.log, FOLDS)
        self.registry = Registry(self.registry_log)
        self.registry.add(
            Firm("acme", *BY),
            *(User(name, "acme", ["trader"], *BY) for name in ("alice", "bob")),
            User("root", "acme", ["admin", "operator"], *BY),
            Account("alice", 1, "acme", ["alice"], 0, *BY),
            Account("bob", 2, "acme", ["bob"], 0, *BY),
            Asset("USD", 1, 2, *BY),
            Asset("ACME", 2, 0, *BY),
        )
        self.credentials = Credentials(self.registry, Seal(bytes(32)), PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        self.credentials.set_password("alice", PASSWORD, BY)
        self._told = alerting.embedded(self.registry, self.log, self.writer, self.feed)
        self.alerts = self._told.__enter__()
        self.house: House
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def _committed(self, block: Block, rows: RowBytes, _took_s: float) -> None:
        if hasattr(self, "feed"):
            self.feed.offer(block, rows)

    async def _run(self) -> None:
        sessions = Sessions(InMemory(), bytes(32))
        record = Record(self.log, FOLDS)
        reads = Reads([self.feed], None, record)
        desks = {1: Desk(self.writer)}
        self.house = House(
            self.registry,
            self.credentials,
            sessions,
            desks,
            reads,
            self.log.durability,
            test_mode=True,
            feeds=[self.feed],
            alerts=self.alerts,
        )
        self.hub = Hub(self.house, self.house.feeds)
        dialects = Dialects(self.house, self.hub)
        sockets = self.sockets = Server(self.house, self.hub, self.limits, dialects=dialects.sockets)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=2_048)
        await sockets.begin(self.listening)
        self.ws_port = self.listening.getsockname()[1]
        rest = documented(self.house, dialects.routers)
        config = uvicorn.Config(rest, http=self.patience.protocol(), port=0, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        sweeping = asyncio.ensure_future(self.patience.sweep())
        serving = asyncio.ensure_future(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 # it has no event for that
            await asyncio.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self._ready.set()
        await serving
        sweeping.cancel()
        await sockets.close()
        dialects.close()
        await reads.close()
        await record.close()

    @property
    def address(self) -> str:
        """Of its REST."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, user: str = "", **key: Any) -> Client:
        """Who signs as *user*, or nobody."""
        scopes = {"root": ["read", "operate", "administer"]}.get(user, ["read", "trade", "fund"])
        return Client(self.address, self.credentials.issue(user, BY, **{"scopes": scopes, **key}) if user else None)

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join()
        self._told.__exit__(None, None, None)
        self.feed.close()
        self.writer.close()
        self.log.close()
        self.registry_log.close()


@contextmanager
def served(folder: Path, limits: Limits = LIMITS) -> Iterator[Served]:
    """A house, ended after."""
    made = Served(folder, limits)
    try:
        yield made
    finally:
        made.close()
