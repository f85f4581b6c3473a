"""From a change of the best price to its sight by many sockets.

So many sockets look at one instrument; orders that change its best price are due at a steady rate, and time counts from when each was due
until each socket has it, its commit included. The sockets are in a process of their own, on the same cores.
"""

from __future__ import annotations

import array
import asyncio
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import MIDDLE_TICKS, Flow
from benchmarks.gateways import PATH, SYMBOL, Clients, Opened, Pipe, opened
from benchmarks.idle import resident_bytes
from commands.codec import to_row
from commands.messages import NewOrder

SOCKETS: Final = 9_500  # of one process, which may open 10,000 files; more need a higher limit
UPDATES_PER_S: Final = 2.0
SECONDS: Final = 10.0
AT_ONCE: Final = 200
PERCENTILES: Final = (50, 90, 99, 99.9, 100)
_LATE_S: Final = 5.0


def run(flow: Flow, runs: int, show: Show, *, rate: float = UPDATES_PER_S, clients: int = SOCKETS) -> dict[str, object]:
    """Medians of *runs* of SECONDS each. rate: changes of price a second."""
    measured: list[dict[str, float]] = []
    seconds, cores, blocks, cpu_s = list[float](), Cores(), list[tuple[bytes, bytes]](), list[float]()
    grown, count, says = list[int](), round(rate * SECONDS), ""
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder, opened(flow, Path(folder)) as on:
            before = resident_bytes()
            with closing(Clients(look, on.ports.ws, clients, count)) as process:
                assert process.hears() == "ready", "sockets are"
                grown.append(resident_bytes() - before)
                began, used = time.perf_counter(), time.process_time()
                with cores.during(lambda process=process: [("sockets", process.pid)]):  # type: ignore[misc]
                    due = _change(on, rate, count)
                    seen = process.hears()
                seconds.append(time.perf_counter() - began)
                cpu_s.append(time.process_time() - used)
            assert len(seen) == clients * count, f"every change is seen by all: {len(seen)} of {clients * count}"
            late = np.asarray(seen).reshape(clients, count) - np.asarray(due)
            measured.append({f"p{name:g}": round(1e3 * float(np.percentile(late, name)), 2) for name in PERCENTILES})
            blocks, says = [block.rows() for block in on.blocks()], on.log.durability
        show((number + 1) / runs)
    return report.report(
        flow,
        seconds,
        report.tally_of(blocks),
        durability=says,
        sockets=clients,
        changes_per_s=rate,
        messages_per_s=round(rate * clients),
        server_kib_per_socket=round(float(np.median(grown)) / 1024 / clients, 1),
        late_ms={name: float(np.median([each[name] for each in measured])) for name in measured[0]},
        late_ms_of_runs=measured,
        server_cpu_s_per_million_messages=round(1e6 * float(np.median(cpu_s)) / (clients * count), 2),
        cores_used=cores.shares(),
    )


def _change(on: Opened, rate: float, count: int) -> list[float]:
    """Better the best bid by a tick, *count* times; when each was due."""
    began = time.monotonic() + 0.1
    due = [began + place / rate for place in range(count)]
    for place, at_s in enumerate(due):
        time.sleep(max(0.0, at_s - time.monotonic()))
        row = to_row(NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=MIDDLE_TICKS // 2 + place))
        on.writer.submit(row)
    return due


class _Looker(WSListener):
    """Notes when each message after the snapshot came."""

    def __init__(self, seen: array.array[float], place: int, count: int, told: asyncio.Event) -> None:
        super().__init__()
        self._seen, self._at, self._end, self._told = seen, place * count, (place + 1) * count, told
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See WSListener."""
        transport.send(WSMsgType.TEXT, msgspec.json.encode({"op": "subscribe", "channels": ["level1"], "symbols": [SYMBOL]}))

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """See WSListener."""
        if not self.begun.done():
            if b'"snapshot"' in frame.get_payload_as_bytes():
                self.begun.set_result(None)
        elif self._at < self._end:
            self._seen[self._at] = time.monotonic()
            self._at += 1
            if self._at == self._end:
                self._told.set()


def look(pipe: Pipe, port: int, clients: int, count: int) -> None:
    """So many sockets, each of which is to see *count* changes; when it saw them, socket by socket."""
    uvloop.run(_look(pipe, port, clients, count))


async def _look(pipe: Pipe, port: int, clients: int, count: int) -> None:
    seen, told = array.array("d", bytes(8 * clients * count)), asyncio.Event()
    lookers = [_Looker(seen, place, count, told) for place in range(clients)]
    for first in range(0, clients, AT_ONCE):
        some = lookers[first : first + AT_ONCE]
        await asyncio.gather(*(_connected(port, each) for each in some))
        await asyncio.gather(*(each.begun for each in some))
    pipe.send("ready")
    with suppress(TimeoutError):
        while True:  # until nothing more comes
            await asyncio.wait_for(told.wait(), SECONDS + _LATE_S)
            if 0.0 not in seen:
                break
            await asyncio.sleep(0.05)
    pipe.send([each for each in seen if each])


async def _connected(port: int, made: _Looker) -> WSTransport:
    transport, _ = await ws_connect(
        lambda: made, f"ws://127.0.0.1:{port}{PATH}", websocket_handshake_timeout=60, read_buffer_init_size=1_024
    )
    return transport
