"""A venue that is served, and how its people come in through the client library."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from adapters.drill.proxy import Cut, Proxy, drop
from outcry.client import AsyncClient, Client, Credentials
from tests.doors.house import BY, Served
from tests.waiting import PATIENCE_S

TEST_S = 60


class Venue:
    """*house*, as clients see it."""

    def __init__(self, house: Served) -> None:
        self.house = house
        self.rest, self.ws = house.address, f"ws://127.0.0.1:{house.ws_port}/v1/ws"

    def credentials(self, user: str) -> Credentials:
        """A new key of *user*."""
        issued = self.house.credentials.issue(user, BY, scopes=["read", "trade", "fund"])
        return Credentials(issued.key, issued.secret, issued.passphrase)

    def client(self, user: str = "", *, rest: str = "", ws: str = "", patience_s: float = PATIENCE_S) -> AsyncClient:
        """Of *user*, or of nobody; over other addresses than the venue's."""
        return AsyncClient(rest or self.rest, ws or self.ws, self.credentials(user) if user else None, patience_s=patience_s)

    def blocking(self, user: str = "") -> Client:
        """As client."""
        return Client(self.rest, self.ws, self.credentials(user) if user else None, patience_s=PATIENCE_S)

    def key_file(self, user: str, folder: Path, **more: str) -> Path:
        """As `outcry demo` leaves it; *more*: what it says besides, or instead."""
        key = self.credentials(user)
        said = {"user": user, "role": "trader", "rest": self.rest, "websocket": self.ws, "key": key.key, "secret": key.secret}
        path = folder / f"{user}.json"
        path.write_text(json.dumps(said | {"passphrase": key.passphrase, "password": ""} | more))
        return path

    def clear(self) -> None:
        """Take away all orders."""
        for user in ("alice", "bob"):
            with self.blocking(user) as client:
                client.cancel_all()


class Relay(Proxy):
    """To a port of the venue; http and ws are its addresses there."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self._then_refuse = False
        self.http, self.ws = f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}/v1/ws"

    def cut_masked(self, cut: Cut, *, then_refuse: bool = False) -> None:
        """Once, at the next request, whatever is in it: what clients say over a WebSocket is masked."""
        self._then_refuse = then_refuse
        self.cut(cut, b"")

    def fate(self, request: bytes) -> Cut | None:
        """See Proxy."""
        found = super().fate(request)
        self.refuses |= found is not None and self._then_refuse
        return found

    def cut_all(self) -> None:
        """Whatever is connected is not any more."""
        for link in self._links:
            drop(link.client)
            drop(link.server)


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A relay, ended after."""
    with Relay(port) as made:
        yield made


@asynccontextmanager
async def encrypted(port: int, issued: Path) -> AsyncIterator[int]:
    """The port of a relay that speaks TLS with the certificate and key in *issued*, in front of *port*."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            behind, before = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pass(reader, before), _pass(behind, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued)
    async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """A test in a loop."""
    asyncio.run(asyncio.wait_for(test, TEST_S))
