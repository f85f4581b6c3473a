"""Clients at the doors of a drill: traders with the client library, each with a key and an account of his own, and one who watches.

Some trade over REST, some over a socket. Each has one command under way, sends what nobody answered again under the same id until somebody
does, and is pushed what happens to his account. What they ask, are answered and are shown they write down.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from random import Random
from typing import Final, Literal, NamedTuple

from adapters.drill.asked import Answered, Asked, Execution, Missing, Printed, Refused, Shown, Unheard
from adapters.drill.intents import IntentLog
from adapters.drill.pace import Heard
from adapters.stack.errors import StackFailed
from eventstore.errors import StoreFailed
from outcry import client as sdk

SYMBOL: Final = "ACME"
TICK: Final = Decimal("0.01")
MIDDLE_TICKS: Final = 1_000
NEAR_TICKS: Final = 4
CANCELS: Final = 0.25
KEPT: Final = 20  # orders that a trader remembers to cancel
POLL_S: Final = 0.02
AGAIN_S: Final = 0.1
BEGIN_WITHIN_S: Final = 60.0
END_WITHIN_S: Final = 20.0
CLOSED_S: Final = 0.5
AGAIN_AFTER_S: Final = 3.0  # without an answer over REST it is sent again
RASH_S: Final = 0.3  # so long somebody waits for an answer who does not know what an id is for
MARKET: Final = 0
Ask = Callable[[int], Awaitable[sdk.Done]]


class Door(NamedTuple):
    """Where clients come in, and whom they trust."""

    rest: str
    ws: str
    tls: ssl.SSLContext

    def client(self, key: sdk.Credentials | None = None, **patience: float) -> sdk.AsyncClient:
        """One who has *key*, or is nobody."""
        return sdk.AsyncClient(self.rest, self.ws, key, tls=self.tls, **patience)


class Clients:
    """Traders with *keys*, by account, at *door*.

    rate  commands a second at most, of all together
    rash  whoever is not answered at once sends the same again as a new command

    told, heard  answers so far
    """

    def __init__(self, door: Door, keys: Mapping[int, sdk.Credentials], log: IntentLog, dice: Random, *, rate: int, rash: bool) -> None:
        self._door, self._keys, self._log, self._dice, self._rash = door, keys, log, dice, rash
        self._pause_s = len(keys) / rate
        self._ids = dict.fromkeys(keys, 0)
        self._answered = dict.fromkeys(keys, 0)  # block of the last answer
        self._shown = dict.fromkeys((MARKET, *keys), 0)  # the last block that was shown
        self._last_trade = self._last_printed = 0
        self._began, self._ending, self._over = threading.Event(), threading.Event(), threading.Event()
        self.told = 0
        self.heard: list[Heard] = []
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)

    def start(self) -> None:
        """Trade, once everybody is being pushed what happens. Raises StoreFailed when that takes too long."""
        self._thread.start()
        if not self._wait(self._began.is_set, BEGIN_WITHIN_S):
            raise StoreFailed(self._door.rest, f"clients are not served within {BEGIN_WITHIN_S:g} s")

    def wait_told(self, more: int, timeout_s: float) -> bool:
        """Wait until *more* answers came than now; False when they do not in time."""
        goal = self.told + more
        return self._wait(lambda: self.told >= goal, timeout_s)

    def finish(self, timeout_s: float) -> None:
        """Begin nothing new; wait until everything is answered and shown, at most *timeout_s*. Raises StackFailed: they do not end."""
        self._ending.set()
        self._wait(lambda: not self._thread.is_alive(), timeout_s)
        self._over.set()
        self._thread.join(END_WITHIN_S)
        if self._thread.is_alive():
            raise StackFailed(f"clients do not end within {END_WITHIN_S:g} s")
        if self.failure is not None:
            raise self.failure

    def _wait(self, says: Callable[[], bool], timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while not says():
            if self.failure is not None:
                raise self.failure
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True

    # -- in the thread of the clients ---------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._lived())
        except BaseException as error:  # noqa: BLE001 - whoever waits for them hears of it
            self.failure = error

    async def _lived(self) -> None:
        await self._live()
        await asyncio.sleep(CLOSED_S)  # connections over TLS end in two steps

    async def _live(self) -> None:
        async with AsyncExitStack() as opened:
            watcher = await opened.enter_async_context(self._door.client())
            pushed = [asyncio.ensure_future(self._watch(watcher))]
            traders = []
            for number, (account, key) in enumerate(self._keys.items()):
                followed = await opened.enter_async_context(self._door.client(key))
                pushed.append(asyncio.ensure_future(self._follow(account, followed)))
                patience = {"patience_s": 0.0, "timeout_s": RASH_S} if self._rash else {"timeout_s": AGAIN_AFTER_S}
                trading = await opened.enter_async_context(self._door.client(key, **patience))
                has_socket = number % 2 == 1 and not self._rash
                session = await opened.enter_async_context(trading.session()) if has_socket else None
                traders.append(_Trader(self, account, trading, session, Random(self._dice.random())))
            over = asyncio.ensure_future(_until(self._over.is_set))
            try:
                await self._all([self._begin(trader) for trader in traders], over, pushed)
                self._began.set()
                await self._all([trader.trade(self._pause_s, self._ending) for trader in traders], over, pushed)
                await self._all([self._settle(trader) for trader in traders], over, pushed)
            finally:
                for each in (*pushed, over):
                    each.cancel()
                await asyncio.gather(*pushed, over, return_exceptions=True)

    async def _all(self, work: Sequence[Awaitable[None]], over: asyncio.Task[None], pushed: Sequence[asyncio.Task[None]]) -> None:
        """Until all of it is done, or it is over. Raises what any of it, or a stream, raises."""
        async with asyncio.TaskGroup() as group:
            doing = [group.create_task(_awaited(each)) for each in work]
            everything = asyncio.ensure_future(asyncio.wait(doing))
            await asyncio.wait([everything, over, *pushed], return_when=asyncio.FIRST_COMPLETED)
            for each in doing:
                each.cancel()
        for stream in pushed:
            if stream.done():
                stream.result()

    async def _begin(self, trader: _Trader) -> None:
        """Enter orders that meet nothing until he is pushed them: from then on he misses nothing."""
        while not self._shown[trader.account] or not self._shown[MARKET]:
            await trader.rest()
            await asyncio.sleep(AGAIN_S)

    async def _settle(self, trader: _Trader) -> None:
        """Enter one more that meets nothing, and wait until that was shown, and every trade."""
        await trader.rest()
        await _until(lambda: self._shown[trader.account] >= self._answered[trader.account])
        await _until(lambda: self._last_printed >= self._last_trade)

    async def _follow(self, account: int, client: sdk.AsyncClient) -> None:
        async for event in client.user():
            if isinstance(event, sdk.Gap):
                self._log.write(Missing(account, event.after, event.seq))
                continue
            executions = [_execution(each, each.order) for each in event.executions]
            self._log.write(Shown(account, event.seq, executions))
            self._shown[account] = event.seq
            self._last_trade = max(self._last_trade, *(each.number for each in executions), 0)

    async def _watch(self, client: sdk.AsyncClient) -> None:
        async for event in client.stream(["trades"], [SYMBOL]):
            if isinstance(event, sdk.Gap):
                self._log.write(Missing(MARKET, event.after, event.seq))
                continue
            assert isinstance(event, sdk.Trades), "what was asked for"
            trades = [_execution(each, "0") for each in event.trades]
            if trades:
                self._log.write(Printed(event.seq, trades))
                self._last_printed = max(each.number for each in trades)
            self._shown[MARKET] = max(1, event.seq)

    async def ask(self, meant: Asked, ask: Ask) -> sdk.Done | None:
        """Have *meant* done, and write down what comes of it. None: it was refused, or all is over."""
        self._log.write(meant)
        name, began_ns = meant.command_id, time.monotonic_ns()
        while not self._over.is_set():
            try:
                done = await ask(name)
            except sdk.Refused as refused:
                now_ns = self._heard(began_ns)
                self._log.write(Refused(meant.account, name, now_ns, now_ns - began_ns, refused.rule))
                return None
            except (sdk.OutcomeUnknown, sdk.Unavailable) as why:
                again = self.new_id(meant.account) if self._rash else name
                self._log.write(Unheard(meant.account, name, again, str(why)))
                name = again
                await asyncio.sleep(AGAIN_S)
            else:
                now_ns = self._heard(began_ns)
                fills = [int(fill.number) for fill in done.fills]
                order, is_repeat = int(done.order or 0), done.status == "repeated"
                told = Answered(meant.account, name, now_ns, now_ns - began_ns, done.seq, int(done.event), order, fills, is_repeat)
                self._log.write(told)
                self._answered[meant.account] = max(self._answered[meant.account], done.seq)
                return done
        return None

    def new_id(self, account: int) -> int:
        """Of a command."""
        self._ids[account] += 1
        return self._ids[account]

    def _heard(self, began_ns: int) -> int:
        now_ns = time.monotonic_ns()
        self.told += 1
        self.heard.append(Heard(now_ns / 1e9, (now_ns - began_ns) / 1e9))
        return now_ns


class _Trader:
    """Account *account*: over REST, or over the socket of *session*."""

    def __init__(self, clients: Clients, account: int, client: sdk.AsyncClient, session: sdk.Session | None, dice: Random) -> None:
        self.account, self._clients, self._way, self._dice = account, clients, session or client, dice
        self._lots = 0
        self._orders: list[int] = []

    async def trade(self, pause_s: float, ending: threading.Event) -> None:
        """Orders near the middle, and cancels, until *ending*."""
        while not ending.is_set():
            began_s = time.monotonic()
            if self._orders and self._dice.random() < CANCELS:
                await self._cancel(self._orders.pop(self._dice.randrange(len(self._orders))))
            else:
                side: Literal["buy", "sell"] = self._dice.choice(("buy", "sell"))
                done = await self._order(side, MIDDLE_TICKS + self._dice.randint(-NEAR_TICKS, NEAR_TICKS))
                if done is not None and (done.resting or done.status == "repeated"):
                    self._orders = [*self._orders[-KEPT:], int(done.order)]
            await asyncio.sleep(max(0.0, began_s + pause_s - time.monotonic()))

    async def rest(self) -> None:
        """An order that meets nothing."""
        await self._order("buy", 1)

    async def _order(self, side: Literal["buy", "sell"], price_ticks: int) -> sdk.Done | None:
        self._lots += 1
        lots, price = str(self._lots), price_ticks * TICK
        meant = Asked(self.account, self._clients.new_id(self.account), side, price_ticks, self._lots)
        return await self._clients.ask(meant, lambda name: self._way.order(SYMBOL, side, lots, price, command_id=name))

    async def _cancel(self, order: int) -> None:
        meant = Asked(self.account, self._clients.new_id(self.account), "cancel", order=order)
        await self._clients.ask(meant, lambda name: self._way.cancel(str(order), command_id=name))


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _until(says: Callable[[], bool]) -> None:
    while not says():  # noqa: ASYNC110 # other threads say it, too
        await asyncio.sleep(POLL_S)


def _execution(each: sdk.Execution | sdk.Trade, order: str) -> Execution:
    return Execution(int(each.number), int(order), int(each.price / TICK), int(each.quantity))
