"""A gateway beside its writer, as `outcry serve` has them, in this process; clients come from others, on the same cores.

Limits of rate and of connections are out of the way; everything else is as in the product: a file of SQLite, all views in memory.
"""

from __future__ import annotations

import hmac
import multiprocessing
import random
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher

from adapters.doors.desk import Desk
from adapters.doors.gateway import Gateway, Ports
from adapters.doors.house import House
from adapters.doors.limits import Buckets, Rate
from adapters.doors.sessions import InMemory, Sessions
from adapters.doors.ws.server import Limits
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.registry.aggregates import Account, Firm, User
from adapters.registry.credentials import Credentials, Issued
from adapters.registry.registry import Act, Registry
from adapters.registry.seal import Seal
from benchmarks.flows import MIDDLE_TICKS, NEAR_TICKS, Flow
from benchmarks.market import NUMBER
from commands.ports import RowBytes
from commands.writer import Writer
from eventstore.blocks import Block
from eventstore.memory import MemorySnapshots
from eventstore.sqlite import SqliteLog
from projections.embedded import FOLDS

PATH: Final = "/v1/ws"
SYMBOL: Final = "I1"
PATIENCE_S: Final = 120.0
_BY: Final = Act("bench", "a benchmark")
_MANY: Final = Rate(1e9, 1e9)
_LIMITS: Final = Limits(connections=60_000, per_address=60_000, handshake_s=60.0)
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Opened:
    """What is served, and the key of who owns all accounts of the flow. seq: the last block of the set-up."""

    writer: Writer
    log: SqliteLog
    feed: Feed
    ports: Ports
    issued: Issued
    seq: int

    def blocks(self) -> list[Block]:
        """That came since."""
        return list(self.log.read(NUMBER, self.seq))


@contextmanager
def opened(flow: Flow, folder: Path) -> Iterator[Opened]:
    """Set *flow* up and serve it."""
    record = folder / "record.sqlite"
    with closing(SqliteLog(record)) as log, closing(SqliteLog(record)) as registry_log:
        offers: list[Callable[[Block, RowBytes], None]] = []

        def committed(block: Block, rows: RowBytes, _took_s: float) -> None:
            for offer in offers:
                offer(block, rows)

        with Writer(log, MemorySnapshots(), NUMBER, on_commit=committed) as writer:
            writer.write_all(flow.set_up())
            seq = writer.head.seq
            with closing(Feed(NUMBER, log, FOLDS, busy=lambda: writer.waiting_commands > 0)) as feed:
                offers.append(feed.offer)
                _await(lambda: feed.seq >= seq)
                registry = Registry(registry_log)
                credentials = _registered(registry, flow)
                issued = credentials.issue("bench", _BY)
                with Gateway(_house(registry, credentials, writer, feed, log), Ports(), limits=_LIMITS) as gateway:
                    yield Opened(writer, log, feed, gateway.ports, issued, seq)


def _registered(registry: Registry, flow: Flow) -> Credentials:
    accounts = [Account(f"a{number}", number, "bench", ["bench"], 0, *_BY) for number in range(1, flow.accounts + 1)]
    registry.add(Firm("bench", *_BY), User("bench", "bench", ["trader"], *_BY), *accounts)
    return Credentials(registry, Seal(bytes(32)), PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


def _house(registry: Registry, credentials: Credentials, writer: Writer, feed: Feed, log: SqliteLog) -> Callable[[], Any]:
    @asynccontextmanager
    async def house() -> AsyncIterator[House]:
        record = Record(log, FOLDS)
        reads = Reads([feed], None, record)
        yield House(
            registry,
            credentials,
            Sessions(InMemory(), bytes(32)),
            {NUMBER: Desk(writer)},
            reads,
            log.durability,
            by_address=Buckets(_MANY),
            by_caller=Buckets(_MANY),
            feeds=[feed],
        )
        await reads.close()
        await record.close()

    return house


def _await(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError(f"the views are not there after {PATIENCE_S} s")
        time.sleep(0.01)


class Clients:
    """A process of clients: *work* gets its arguments and a connection; it says when it is ready, is told to go, and answers."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._mine, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=work, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    def hears(self) -> Any:
        """What it says next. Raises TimeoutError, EOFError when it has ended."""
        if not self._mine.poll(PATIENCE_S):
            raise TimeoutError(f"the clients say nothing for {PATIENCE_S} s")
        return self._mine.recv()

    def tell(self, what: object) -> None:
        """Tell it something."""
        self._mine.send(what)

    def close(self) -> None:
        """End it."""
        self._mine.close()
        self._process.terminate()
        self._process.join()


Pipe = Connection


def login_words(key: str, secret: str, nonce: object) -> dict[str, str]:
    """What a login by key says."""
    time_ns = str(time.time_ns())
    message = f"{time_ns}\n{nonce}\nGET\n{PATH}\n".encode()
    signature = b64encode(hmac.digest(b64decode(secret), message, "sha256")).decode()
    return {"key": key, "time": time_ns, "nonce": str(nonce), "signature": signature}


def orders(count: int, accounts: int) -> list[dict[str, object]]:
    """Messages of the WebSocket door, as the flow `cross` has them; the id of each is its place."""
    dice = random.Random(1)
    return [
        {
            "op": "order",
            "id": str(number),
            "symbol": SYMBOL,
            "side": dice.choice(("buy", "sell")),
            "quantity": str(dice.randint(1, 5)),
            "price": f"{(MIDDLE_TICKS + dice.randint(-NEAR_TICKS, NEAR_TICKS)) / 100:.2f}",
            "self_trade": "allow",
            "account": dice.randint(1, accounts),
        }
        for number in range(count)
    ]
