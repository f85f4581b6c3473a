"""All clients of a gateway come back at once: handshake, login by key, subscription, snapshot. Meanwhile one trader cancels orders.

In the end every order that was acknowledged is where it should be: open, or cancelled as acknowledged. The clients are in a process of
their own, on the same cores, and so is the trader.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.gateways import PATH, SYMBOL, Clients, Pipe, login_words, opened

CLIENTS: Final = 9_500
ORDERS: Final = 200  # that the trader has in the book
CANCEL_EVERY_S: Final = 0.05


def run(flow: Flow, runs: int, show: Show, *, clients: int = CLIENTS) -> dict[str, object]:
    """Medians of *runs*: seconds until all are served, and how long cancels took meanwhile."""
    seconds, cancels, cores = list[float](), list[float](), Cores()
    blocks, says = list[tuple[bytes, bytes]](), ""
    for number in range(runs):
        with (
            tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder,
            opened(flow, Path(folder)) as on,
            closing(Clients(trade, on.ports.ws, on.issued.key, on.issued.secret)) as trader,
            closing(Clients(storm, on.ports.ws, on.issued.key, on.issued.secret, clients)) as many,
        ):
            assert (trader.hears(), many.hears()) == ("ready", "ready"), "both are"
            with cores.during(lambda many=many: [("clients", many.pid)]):  # type: ignore[misc]
                trader.tell("go")
                many.tell("go")
                seconds.append(many.hears())
                trader.tell("end")
                entered, cancelled, took = trader.hears()
            blocks, says = [block.rows() for block in on.blocks()], on.log.durability
            cancels += took
            time.sleep(0.5)
            rows, _ = on.feed.group("orders", "order:1")
            is_open = {key.rpartition(":")[2] for key in rows}
            assert is_open == set(entered) - set(cancelled), "what was acknowledged is so"
        show((number + 1) / runs)
    return report.report(
        flow,
        seconds,
        report.tally_of(blocks),
        durability=says,
        clients=clients,
        all_served_s=round(float(np.median(seconds)), 2),
        cancels=len(cancels),
        cancel_ms={f"p{name:g}": round(1e3 * float(np.percentile(cancels, name)), 1) for name in (50, 99, 100)} if cancels else {},
        cores_used=cores.shares(),
    )


class _Client(WSListener):
    """Says what it is told, and puts what it hears in a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See WSListener."""
        self.transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """See WSListener."""
        self.heard.put_nowait(frame.get_payload_as_bytes())

    async def asks(self, **words: object) -> Any:
        """The answer."""
        self.transport.send(WSMsgType.TEXT, msgspec.json.encode({"id": "x", **words}))
        while True:
            found = msgspec.json.decode(await self.heard.get())
            if found.get("id") == "x":
                return found


async def _connected(port: int) -> _Client:
    made = _Client()
    await ws_connect(lambda: made, f"ws://127.0.0.1:{port}{PATH}", websocket_handshake_timeout=60, read_buffer_init_size=1_024)
    return made


def trade(pipe: Pipe, port: int, key: str, secret: str) -> None:
    """Orders that rest; then cancels, until told to end: numbers of orders, of those cancelled, and how long each cancel took."""
    uvloop.run(_trade(pipe, port, key, secret))


async def _trade(pipe: Pipe, port: int, key: str, secret: str) -> None:
    client = await _connected(port)
    await client.asks(op="login", **login_words(key, secret, "trader"))
    entered = []
    for place in range(ORDERS):
        answer = await client.asks(op="order", symbol=SYMBOL, side="buy", quantity="1", price=f"{1 + place / 100:.2f}", account=1)
        entered.append(answer["done"]["order"])
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    cancelled, took = list[str](), list[float]()
    due = time.perf_counter()
    for order in entered:
        if pipe.poll():
            break
        due += CANCEL_EVERY_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        answer = await client.asks(op="cancel", order=order, account=1)
        took.append(time.perf_counter() - due)
        cancelled.append(answer["done"]["order"])
    pipe.send((entered, cancelled, took))


def storm(pipe: Pipe, port: int, key: str, secret: str, clients: int) -> None:
    """All at once; seconds until the last has its snapshot."""
    uvloop.run(_storm(pipe, port, key, secret, clients))


async def _storm(pipe: Pipe, port: int, key: str, secret: str, clients: int) -> None:
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    began = time.perf_counter()
    made = await asyncio.gather(*(_served(port, key, secret, place) for place in range(clients)))
    pipe.send(time.perf_counter() - began)
    assert len(made) == clients, "all"


async def _served(port: int, key: str, secret: str, place: int) -> _Client:
    client = await _connected(port)
    answer = await client.asks(op="login", **login_words(key, secret, f"c{place}"))
    assert answer["type"] == "welcome", answer
    client.transport.send(WSMsgType.TEXT, msgspec.json.encode({"op": "subscribe", "channels": ["level1"], "symbols": [SYMBOL]}))
    while b'"snapshot"' not in await client.heard.get():
        pass
    return client
