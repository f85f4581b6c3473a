"""From the moment an order was due to be sent to the moment its client knows that it is durable, through the WebSocket door.

Open loop: orders are due at fixed times, whatever became of those before, and time counts from then. Single: a JSON frame for each, over
many sockets. In batches: what falls due within a millisecond is one binary frame, over one socket. The client is a process of its own.

With idle sockets beside, each run is made twice, without them and with them.
"""

from __future__ import annotations

import array
import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import uvloop
from picows import WSMsgType

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.gateways import Clients, Pipe, login_words, opened, orders
from benchmarks.idle import Socket, connected, hold, resident_bytes
from commands import batch as door
from domain.verbs import COMMAND_BYTES

SECONDS: Final = 8.0
WARM_S: Final = 1.0  # not counted: first use of everything
GATHER_S: Final = 0.001
SOCKETS: Final = 64
PERCENTILES: Final = (50, 90, 99, 99.9, 100)
PATIENCE_S: Final = 30.0
_DONE: Final = b'{"type":"done","id":"'


def run(flow: Flow, runs: int, show: Show, *, rate: float, batch: bool, idle: int = 0) -> dict[str, object]:
    """Percentiles in ms: medians over *runs* of SECONDS each; p100 is that of the worst run. idle: so many sockets beside."""
    beside = [0, idle] if idle else [0]
    measured: dict[int, list[dict[str, float]]] = {sockets: [] for sockets in beside}
    grown, seconds, cores, blocks, says = list[int](), list[float](), Cores(), list[tuple[bytes, bytes]](), ""
    count = max(2, round(rate * SECONDS))
    rows = b"".join(Flow(flow.name, flow.accounts, flow.instruments, flow.resting, count, flow.seed).batches()) if batch else b""
    for number in range(runs):
        for sockets in beside:
            with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder, opened(flow, Path(folder)) as on, ExitStack() as held:
                if sockets:
                    before = resident_bytes()
                    idlers = held.enter_context(closing(Clients(hold, on.ports.ws, on.issued.key, on.issued.secret, sockets)))
                    assert idlers.hears() == "ready", "the sockets are"
                    grown.append(resident_bytes() - before)
                clients = held.enter_context(
                    closing(Clients(pace, on.ports.ws, on.issued.key, on.issued.secret, rate, count, rows, flow.accounts))
                )
                assert clients.hears() == "ready", "the client is"
                with cores.during(lambda clients=clients: [("clients", clients.pid)]):  # type: ignore[misc]
                    clients.tell("go")
                    taken, late = clients.hears()
                seconds.append(taken)
                counted_late = np.asarray(late)[round(rate * WARM_S) :]
                measured[sockets].append({f"p{name:g}": round(1e3 * float(np.percentile(counted_late, name)), 2) for name in PERCENTILES})
                blocks, says = [block.rows() for block in on.blocks()], on.log.durability
        show((number + 1) / runs)
    counted = report.tally_of(blocks)
    assert counted.commands == count, "every order that was answered is in the record"
    return report.report(
        flow,
        seconds,
        counted,
        durability=says,
        rate_per_s=round(rate),
        batches=batch,
        latency_ms=_over(measured[0]),
        latency_ms_of_runs=measured[0],
        not_counted_s=WARM_S,
        commands_per_block=round(counted.commands / len(blocks), 1),
        cores_used=cores.shares(),
        **_beside(idle, grown, measured[idle]),
    )


def _over(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of all runs."""
    return {name: float(np.median([each[name] for each in runs])) for name in runs[0]} | {"p100": max(each["p100"] for each in runs)}


def _beside(idle: int, grown: Sequence[int], measured: Sequence[dict[str, float]]) -> dict[str, object]:
    """What idle sockets cost; nothing without any."""
    if not idle:
        return {}
    return {
        "idle_sockets": idle,
        "server_kib_per_idle_socket": round(float(np.median(grown)) / 1024 / idle, 1),
        "latency_ms_beside_idle": _over(measured),
    }


def pace(pipe: Pipe, port: int, key: str, secret: str, rate: float, count: int, rows: bytes, accounts: int) -> None:
    """Send *count* orders at *rate*: *rows* in batches or, without, JSON. How long it took, and how late each answer was."""
    uvloop.run(_pace(pipe, port, key, secret, rate, count, rows, accounts))


class _Answers:
    """When each order was answered."""

    def __init__(self, count: int) -> None:
        self.at_s = array.array("d", bytes(8 * count))
        self.under_way: deque[tuple[int, int]] = deque()  # of each batch: its orders, from, to
        self._left = count
        self.all: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(self, payload: bytes) -> None:
        """An answer."""
        now_s = time.perf_counter()
        if payload.startswith(_DONE):
            begin = int(payload[len(_DONE) : payload.index(b'"', len(_DONE))])
            end = begin + 1
        elif payload.startswith(b"OUTK"):
            begin, end = self.under_way.popleft()
        else:
            self.all.set_exception(RuntimeError(payload.decode()))
            return
        for place in range(begin, end):
            self.at_s[place] = now_s
        self._left -= end - begin
        if not self._left:
            self.all.set_result(None)


async def _pace(pipe: Pipe, port: int, key: str, secret: str, rate: float, count: int, rows: bytes, accounts: int) -> None:
    answers = _Answers(count)
    frames = [] if rows else [msgspec.json.encode(each) for each in orders(count, accounts)]
    sockets = [Socket(login_words(key, secret, place), answers.heard) for place in range(1 if rows else SOCKETS)]
    for socket in sockets:
        await connected(port, socket)
        await socket.welcome
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    began, sent = time.perf_counter(), 0
    while sent < count:
        due = min(count, int((time.perf_counter() - began) * rate) + 1)
        if due > sent:
            _send(sockets, frames, rows, answers, sent, due)
            sent = due
        await asyncio.sleep(GATHER_S / 2 if not rows else GATHER_S)
    await asyncio.wait_for(answers.all, PATIENCE_S)
    taken = time.perf_counter() - began
    pipe.send((taken, [at_s - began - place / rate for place, at_s in enumerate(answers.at_s)]))


def _send(sockets: Sequence[Socket], frames: Sequence[bytes], rows: bytes, answers: _Answers, begin: int, end: int) -> None:
    if rows:
        answers.under_way.append((begin, end))
        sockets[0].transport.send(WSMsgType.BINARY, door.encode(rows[begin * COMMAND_BYTES : end * COMMAND_BYTES]))
        return
    for place in range(begin, end):
        sockets[place % SOCKETS].transport.send(WSMsgType.TEXT, frames[place])
