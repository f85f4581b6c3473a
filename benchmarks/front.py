"""Orders through nginx to the gateways of a stack: one gateway reached directly, one behind nginx, and two behind it, in turn.

Clients log in with the keys of a venue to try; each order is a JSON frame, so many are under way on each socket, and answers are durable.
Servers, worker, gateways and clients share the cores: where there are few, a second gateway costs more than it brings.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
import uvloop
from picows import WSMsgType, ws_connect

from adapters.cli.progress import Show
from adapters.doors import keys
from adapters.doors.keys import KeyFile
from adapters.stack.postgres import READER
from adapters.stack.stack import Stack
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.doors import Sender
from benchmarks.flows import Flow
from benchmarks.gateways import PATH, Clients, Pipe, login_words
from benchmarks.market import NUMBER
from eventstore.postgres import PostgresLog

TRADERS: Final = ("alice", "bob", "maker", "taker")
SOCKETS: Final = 32
UNDER_WAY: Final = 16
ORDERS: Final = 20_000
READY_S: Final = 90.0
_OUTCRY: Final = (sys.executable, "-c", "from adapters.cli.app import main; main()")
_ARRANGEMENTS: Final = {"direct": (1, False), "one_behind_nginx": (1, True), "two_behind_nginx": (2, True)}


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Medians of *runs* of each arrangement. Of *flow* only the number of commands is used, ORDERS at most."""
    count = min(flow.commands, ORDERS)
    seconds: dict[str, list[float]] = {name: [] for name in _ARRANGEMENTS}
    cores = {name: Cores() for name in _ARRANGEMENTS}
    with tempfile.TemporaryDirectory(prefix="outcry-bench-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o711)  # the servers' user passes through it
        stack = Stack(Path(root) / "stack", redis=True, nginx=True, gateways=2)
        try:
            stack.up()
            with _started(Path(root), "serve", "--profile", "stack", "--stack", str(stack.folder)) as worker:
                for number in range(runs):
                    for name, (gateways, is_behind) in _ARRANGEMENTS.items():
                        seconds[name].append(_measured(stack, Path(root), worker, cores[name], gateways, count, is_behind=is_behind))
                    show((number + 1) / runs)
            with closing(PostgresLog(stack.postgres_dsn(READER))) as log:
                counted = report.tally_of(block.rows() for block in log.read(NUMBER))
                durability = log.durability
        finally:
            stack.destroy()
    assert counted.commands >= runs * len(_ARRANGEMENTS) * count, "every order that was answered is in the record"
    rates = {f"{name}_orders_per_s": report.rate(count, each) for name, each in seconds.items()}
    return report.report(
        flow,
        seconds["two_behind_nginx"],
        report.Tally(count, 0, 0, counted.mix),
        durability=durability,
        **rates,
        two_against_one=report.median_ratio(seconds["one_behind_nginx"], seconds["two_behind_nginx"]),
        sockets=SOCKETS,
        under_way=SOCKETS * UNDER_WAY,
        cores_used={name: each.shares() for name, each in cores.items()},
    )


def _measured(stack: Stack, root: Path, worker: int, cores: Cores, gateways: int, count: int, *, is_behind: bool) -> float:
    """Seconds from the first order to the last answer."""
    with ExitStack() as opened:
        processes = [("worker", worker), *((name, server.pid) for name, server in stack.servers.items() if server.pid)]
        for number in range(1, gateways + 1):
            command = ("gateway", "--demo", "--number", str(number), "--stack", str(stack.folder))
            processes.append(("gateways", opened.enter_context(_started(root, *command))))
        for each in stack.gateways[:gateways]:
            _await_open(f"http://127.0.0.1:{each.rest}")
        found = keys.kept(stack.folder)
        address = f"wss://127.0.0.1:{stack.nginx.port}{PATH}" if is_behind else f"ws://127.0.0.1:{stack.gateways[0].ws}{PATH}"
        traders = [found[name] for name in TRADERS]
        with closing(Clients(send, address, str(stack.nginx.authority) if is_behind else "", traders, count)) as clients:
            assert clients.hears() == "ready", "clients are"
            with cores.during(lambda: [*processes, ("clients", clients.pid)]):
                clients.tell("go")
                taken = clients.hears()
    assert isinstance(taken, float), taken
    return taken


@contextmanager
def _started(root: Path, *command: str) -> Iterator[int]:
    """The number of a process of `outcry`; told to end afterwards. Its log lies beside the stack."""
    with (root / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen([*_OUTCRY, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - ourselves
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(READY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_open(address: str) -> None:
    """Until the gateway is ready and its market trades. Raises TimeoutError."""
    end_s = time.monotonic() + READY_S
    while time.monotonic() < end_s:
        try:
            if httpx.get(f"{address}/ready").is_success and httpx.get(f"{address}/v1/instruments/ACME").json().get("state") == "open":
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the gateway at {address} is not ready after {READY_S:.0f} s")


# -- in the clients' process ----------------------------------------------------------------------------------------------


def send(pipe: Pipe, address: str, authority: str, traders: list[KeyFile], count: int) -> None:
    """*count* orders over SOCKETS sockets."""
    uvloop.run(_send(pipe, address, authority, traders, count))


async def _send(pipe: Pipe, address: str, authority: str, traders: list[KeyFile], count: int) -> None:
    tls = ssl.create_default_context(cafile=authority) if authority else None
    frames = _frames(count)
    senders = [Sender(WSMsgType.TEXT, frames[place::SOCKETS], UNDER_WAY) for place in range(SOCKETS)]
    for place, sender in enumerate(senders):
        trader = traders[place % len(traders)]
        transport, _ = await ws_connect(lambda sender=sender: sender, address, ssl_context=tls)
        words = login_words(trader.key, trader.secret, f"{place} {time.time_ns()}")
        transport.send(WSMsgType.TEXT, msgspec.json.encode({"op": "login", "id": "login", **words}))
        await sender.welcome
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    began = time.perf_counter()
    for sender in senders:
        sender.begin()
    await asyncio.gather(*(sender.done for sender in senders))
    pipe.send(time.perf_counter() - began)


def _frames(count: int) -> list[bytes]:
    dice = random.Random(1)
    return [
        msgspec.json.encode(
            {
                "op": "order",
                "id": str(number),
                "symbol": "ACME",
                "side": dice.choice(("buy", "sell")),
                "quantity": str(dice.randint(1, 5)),
                "price": f"{dice.randint(1_200, 1_300) / 100:.2f}",
                "self_trade": "allow",
            }
        )
        for number in range(count)
    ]
