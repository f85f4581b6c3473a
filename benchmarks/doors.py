"""Orders through the doors of the embedded profile, durable when they are answered: clients in a process of their own, on the same cores.

json   one order a frame, over many sockets, so many under way on each
rest   one order a request, signed, over connections that stay open
batch  batches of 16,384 rows over one socket, two under way; against the writer alone, fed the same batches in this process
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import tempfile
import time
from base64 import b64decode, b64encode
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from adapters.cli.progress import Show
from benchmarks import doors_paced, report
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.gateways import PATH, Clients, Opened, Pipe, login_words, opened, orders
from benchmarks.market import NUMBER
from commands import batch as door
from commands.writer import Writer
from eventstore.memory import MemorySnapshots
from eventstore.sqlite import SqliteLog

SOCKETS: Final = 64
UNDER_WAY: Final = 16
REST_CONNECTIONS: Final = 32
BATCHES_UNDER_WAY: Final = 2
JSON_ORDERS: Final = 100_000
REST_ORDERS: Final = 10_000


def run(flow: Flow, runs: int, show: Show, *, batch: bool = False, rate: float | None = None, clients: int = 0) -> dict[str, object]:
    """Medians of *runs*. batch: of batches; else of single orders, over WebSocket and over REST.

    rate     of orders a second: how late answers are
    clients  beside so many that are logged in and say nothing
    """
    if rate is not None:
        return doors_paced.run(flow, runs, show, rate=rate, batch=batch, idle=clients)
    if clients:
        raise ValueError("bench doors has --clients beside orders at a steady rate; right would be --rate with it")
    return _batches(flow, runs, show) if batch else _singles(flow, runs, show)


def _batches(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    batches, alone, seconds, cores = flow.batches(), list[float](), list[float](), Cores()
    blocks, says = list[tuple[bytes, bytes]](), ""
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder:
            alone.append(_alone(flow, batches, Path(folder)))
        with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder, opened(flow, Path(folder)) as on:
            wire = [door.encode(each) for each in batches]
            seconds.append(_of_clients(on, cores, send_batches, wire))
            blocks = [block.rows() for block in on.blocks()]
            says = on.log.durability
        show((number + 1) / runs)
    counted = report.tally_of(blocks)
    assert counted.commands == flow.commands, "all of the flow is in the record"
    return report.report(
        flow,
        seconds,
        counted,
        durability=says,
        writer_alone_commands_per_s=report.rate(counted.commands, alone),
        ratio=report.median_ratio(alone, seconds),
        batches_under_way=BATCHES_UNDER_WAY,
        cores_used=cores.shares(),
    )


def _alone(flow: Flow, batches: list[bytes], folder: Path) -> float:
    """The writer without doors and views, from the same state."""
    with closing(SqliteLog(folder / "record.sqlite")) as log, Writer(log, MemorySnapshots(), NUMBER) as writer:
        writer.write_all(flow.set_up())
        began = time.perf_counter()
        writer.write_all(batches)
        return time.perf_counter() - began


def _singles(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    json, rest, cores = list[float](), list[float](), Cores()
    singles = min(flow.commands, JSON_ORDERS)
    requests = min(flow.commands, REST_ORDERS)
    blocks, says = list[tuple[bytes, bytes]](), ""
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder, opened(flow, Path(folder)) as on:
            json.append(_of_clients(on, cores, send_orders, singles, flow.accounts))
            rest.append(_of_clients(on, Cores(), send_requests, requests, flow.accounts))
            blocks = [block.rows() for block in on.blocks()]
            says = on.log.durability
        show((number + 1) / runs)
    counted = report.tally_of(blocks)
    assert counted.commands == singles + requests, "every order that was answered is in the record"
    return report.report(
        flow,
        json,
        counted,
        durability=says,
        json_orders_per_s=report.rate(singles, json),
        json_sockets=SOCKETS,
        json_under_way=SOCKETS * UNDER_WAY,
        rest_orders_per_s=report.rate(requests, rest),
        rest_connections=REST_CONNECTIONS,
        cores_used=cores.shares(),
    )


def _of_clients(on: Opened, cores: Cores, work: Any, *arguments: object) -> float:
    """Seconds from the first order to the last answer, as the clients measured."""
    with closing(Clients(work, on.ports, on.issued.key, on.issued.secret, *arguments)) as clients:
        assert clients.hears() == "ready", "clients are"
        with cores.during(lambda: [("clients", clients.pid)]):
            clients.tell("go")
            seconds = clients.hears()
    assert isinstance(seconds, float), seconds
    return seconds


# -- in the clients' process ----------------------------------------------------------------------------------------------


def send_batches(pipe: Pipe, ports: tuple[int, int], key: str, secret: str, wire: list[bytes]) -> None:
    """All of *wire* over one socket."""
    uvloop.run(_timed(pipe, _sent(ports[1], key, secret, [(WSMsgType.BINARY, wire)], BATCHES_UNDER_WAY)))


def send_orders(pipe: Pipe, ports: tuple[int, int], key: str, secret: str, count: int, accounts: int) -> None:
    """So many orders over SOCKETS sockets."""
    frames = [msgspec.json.encode(order) for order in orders(count, accounts)]
    uvloop.run(
        _timed(pipe, _sent(ports[1], key, secret, [(WSMsgType.TEXT, frames[place::SOCKETS]) for place in range(SOCKETS)], UNDER_WAY))
    )


def send_requests(pipe: Pipe, ports: tuple[int, int], key: str, secret: str, count: int, accounts: int) -> None:
    """So many orders over REST_CONNECTIONS connections."""
    bodies = deque(
        msgspec.json.encode({name: value for name, value in order.items() if name not in {"op", "id"}}) for order in orders(count, accounts)
    )
    uvloop.run(_timed(pipe, _asked(ports[0], key, b64decode(secret), bodies)))


async def _timed(pipe: Pipe, work: Any) -> None:
    """*work* says when it is ready, and is then gone on with."""
    ready = await anext(work)
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    began = time.perf_counter()
    await ready()
    pipe.send(time.perf_counter() - began)
    await work.aclose()


class Sender(WSListener):
    """Sends frames, so many under way, until all are answered."""

    def __init__(self, kind: WSMsgType, frames: list[bytes], under_way: int) -> None:
        super().__init__()
        self._kind, self._frames, self._under_way = kind, iter(frames), under_way
        self._left = len(frames)
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See WSListener."""
        self._transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """See WSListener."""
        payload = frame.get_payload_as_bytes()
        if not self.welcome.done():
            if b'"id":"login"' in payload:
                self.welcome.set_result(None)
            return
        if b'"problem"' in payload[:32]:
            self.done.set_exception(RuntimeError(payload.decode()))
            return
        self._left -= 1
        if not self._left:
            self.done.set_result(None)
        self._next()

    def begin(self) -> None:
        """Send the first."""
        for _ in range(self._under_way):
            self._next()

    def _next(self) -> None:
        frame = next(self._frames, None)
        if frame is not None:
            self._transport.send(self._kind, frame)


async def _sent(port: int, key: str, secret: str, each: list[tuple[WSMsgType, list[bytes]]], under_way: int) -> Any:
    senders = [Sender(kind, frames, under_way) for kind, frames in each]
    for place, sender in enumerate(senders):
        transport, _ = await ws_connect(lambda sender=sender: sender, f"ws://127.0.0.1:{port}{PATH}")
        transport.send(WSMsgType.TEXT, msgspec.json.encode({"op": "login", "id": "login", **login_words(key, secret, place)}))
        await sender.welcome

    async def go() -> None:
        for sender in senders:
            sender.begin()
        await asyncio.gather(*(sender.done for sender in senders))

    yield go


async def _asked(port: int, key: str, secret: bytes, bodies: deque[bytes]) -> Any:
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(REST_CONNECTIONS)]
    nonces = itertools.count()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while bodies:
            body = bodies.popleft()
            time_ns, nonce = time.time_ns(), f"r{next(nonces)}"
            signature = b64encode(hmac.digest(secret, f"{time_ns}\n{nonce}\nPOST\n/v1/orders\n".encode() + body, "sha256")).decode()
            head = (
                f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Outcry-Key: {key}\r\nOutcry-Time: {time_ns}\r\nOutcry-Nonce: {nonce}\r\nOutcry-Signature: {signature}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            said = await reader.readexactly(size)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(said.decode())

    async def go() -> None:
        await asyncio.gather(*(ask(*each) for each in connections))

    yield go
    for _, writer in connections:
        writer.close()
