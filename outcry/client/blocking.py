"""The client for programs without an event loop: it has one, in a thread, and waits for what AsyncClient does there."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from outcry.client.client import AsyncClient
from outcry.client.credentials import Credentials
from outcry.client.live import LiveBook
from outcry.client.session import Session
from outcry.client.shapes import Level

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outcry.client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """What *work* returns."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # an interrupt comes to this thread and not to the other
            future.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Have *work* done, unless the loop has ended, without waiting: whoever collects garbage may call this, also in the loop."""
        if self._loop.is_closed():
            work.close()
        else:
            asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End it."""
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Waiting(Generic[T]):
    """Waits for what *it* does in *loop*."""

    def __init__(self, loop: _Loop, it: T) -> None:
        self._loop, self._it = loop, it

    @contextmanager
    def _within(self, entered: AbstractAsyncContextManager[R]) -> Iterator[R]:
        """What is entered, and left after."""
        it = self._loop.run(_awaited(entered.__aenter__()))
        try:
            yield it
        finally:
            self._loop.run(_awaited(entered.__aexit__(None, None, None)))


async def _awaited(it: Any) -> Any:
    """As a coroutine, which threads may hand over."""
    return await it


def _waits(method: Callable[Concatenate[T, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[_Waiting[T], P], R]:
    """*method*, waited for."""

    @wraps(method)
    def call(self: _Waiting[T], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._loop.run(method(self._it, *args, **kwargs))

    return call


def _iterates(method: Callable[Concatenate[T, P], AsyncGenerator[R, None]]) -> Callable[Concatenate[_Waiting[T], P], Iterator[R]]:
    """*method*, each thing waited for."""

    @wraps(method)
    def call(self: _Waiting[T], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        it = method(self._it, *args, **kwargs)
        try:
            while True:
                try:
                    told = self._loop.run(_awaited(anext(it)))
                except StopAsyncIteration:
                    return
                yield told
        finally:
            self._loop.begin(it.aclose())

    return call


class BlockingBook(_Waiting[LiveBook]):
    """See LiveBook."""

    changed = _waits(LiveBook.changed)

    @property
    def seq(self) -> int:
        """The block that it is as of."""
        return self._it.seq

    @property
    def bids(self) -> list[Level]:
        """Best first."""
        return self._loop.run(_side(self._it, "bids"))

    @property
    def asks(self) -> list[Level]:
        """Best first."""
        return self._loop.run(_side(self._it, "asks"))


async def _side(book: LiveBook, side: str) -> list[Level]:
    """In the loop, where nothing changes meanwhile."""
    return book.bids if side == "bids" else book.asks


class BlockingSession(_Waiting[Session]):
    """See Session."""

    order = _waits(Session.order)
    cancel = _waits(Session.cancel)
    replace = _waits(Session.replace)
    reduce = _waits(Session.reduce)
    send_batch = _waits(Session.send_batch)


class Client(_Waiting[AsyncClient]):
    """See AsyncClient. May be used from several threads."""

    def __init__(
        self,
        rest: str,
        ws: str = "",
        credentials: Credentials | None = None,
        *,
        patience_s: float = 30.0,
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(_Loop(), AsyncClient(rest, ws, credentials, patience_s=patience_s, timeout_s=timeout_s, tls=tls))

    @classmethod
    def from_file(cls, path: str | Path, *, patience_s: float = 30.0, timeout_s: float = 10.0, tls: ssl.SSLContext | None = None) -> Self:
        """See AsyncClient.from_file."""
        made = cls.__new__(cls)
        it = AsyncClient.from_file(path, patience_s=patience_s, timeout_s=timeout_s, tls=tls)
        _Waiting.__init__(made, _Loop(), it)
        return made

    time = _waits(AsyncClient.time)
    instruments = _waits(AsyncClient.instruments)
    instrument = _waits(AsyncClient.instrument)
    book = _waits(AsyncClient.book)
    trades = _waits(AsyncClient.trades)
    bars = _waits(AsyncClient.bars)
    statistics = _waits(AsyncClient.statistics)
    me = _waits(AsyncClient.me)
    balances = _waits(AsyncClient.balances)
    orders = _waits(AsyncClient.orders)
    find_order = _waits(AsyncClient.find_order)
    executions = _waits(AsyncClient.executions)
    statement = _waits(AsyncClient.statement)
    command = _waits(AsyncClient.command)
    order = _waits(AsyncClient.order)
    batch = _waits(AsyncClient.batch)
    cancel = _waits(AsyncClient.cancel)
    replace = _waits(AsyncClient.replace)
    reduce = _waits(AsyncClient.reduce)
    cancel_all = _waits(AsyncClient.cancel_all)
    deposit = _waits(AsyncClient.deposit)
    withdraw = _waits(AsyncClient.withdraw)
    add_alert = _waits(AsyncClient.add_alert)
    alert_rules = _waits(AsyncClient.alert_rules)
    remove_alert = _waits(AsyncClient.remove_alert)
    alerts = _waits(AsyncClient.alerts)
    stream = _iterates(AsyncClient.stream)
    user = _iterates(AsyncClient.user)
    watch_alerts = _iterates(AsyncClient.watch_alerts)

    @contextmanager
    def book_of(self, symbol: str) -> Iterator[BlockingBook]:
        """See AsyncClient.book_of."""
        with self._within(self._it.book_of(symbol)) as book:
            yield BlockingBook(self._loop, book)

    @contextmanager
    def session(self, *, partition: int = 0, cancel_on_disconnect: bool = False) -> Iterator[BlockingSession]:
        """See AsyncClient.session."""
        with self._within(self._it.session(partition=partition, cancel_on_disconnect=cancel_on_disconnect)) as session:
            yield BlockingSession(self._loop, session)

    def close(self) -> None:
        """See AsyncClient.close."""
        self._loop.run(self._it.close())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
