"""The client: everything that the venue is asked for, and what it pushes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, Unpack
from urllib.parse import quote

import msgspec

from outcry.client.alerts import fired
from outcry.client.credentials import Credentials, KeyFile
from outcry.client.errors import ApiError, OutcomeUnknown, Problem, Refused
from outcry.client.live import LiveBook, following
from outcry.client.own import own
from outcry.client.pages import Alerts, Executions, Orders, Statement, pages
from outcry.client.pushed import Channel, Fired, Gap, Market, Own
from outcry.client.rest import Method, Query, Rest
from outcry.client.retry import Again, error_of, patiently
from outcry.client.session import Session, entered
from outcry.client.shapes import (
    Alert,
    AlertRule,
    AlertTerms,
    Balances,
    Bar,
    Book,
    Command,
    Done,
    Execution,
    Id,
    Instrument,
    Interval,
    Line,
    Me,
    NewOrder,
    Number,
    Order,
    OrderTerms,
    Side,
    Target,
    Trade,
    done_of,
    new_id,
    text,
)
from outcry.client.stream import market
from outcry.client.wire import Dialer


class AsyncClient:
    """A client of the venue whose REST is at *rest* (http://HOST:PORT) and whose WebSocket is at *ws* (ws://HOST:PORT/v1/ws).

    credentials  none: only what anybody may see
    patience_s   for how long something is tried again, when the venue says not now or cannot be reached
    timeout_s    for how long one answer is waited for
    tls          whom to trust, if not whom this machine trusts

    Every command has an id, the caller's or one by chance, and is executed once however often it had to be sent. Methods raise ApiError
    (Refused by a rule of the market, Denied, NotFound, TooLate, Unavailable); those that change something OutcomeUnknown, too.
    Close it, or use it in `async with`.
    """

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
        self._rest = Rest(rest, credentials, patience_s=patience_s, timeout_s=timeout_s, tls=tls)
        self._dialer = Dialer(ws, credentials, patience_s=patience_s, timeout_s=timeout_s, tls=tls)
        self._patience_s = patience_s

    @classmethod
    def from_file(cls, path: str | Path, *, patience_s: float = 30.0, timeout_s: float = 10.0, tls: ssl.SSLContext | None = None) -> Self:
        """With the key and the addresses of a key file, such as `outcry demo` writes. Raises OSError, ValueError."""
        file = KeyFile.read(path)
        return cls(file.rest, file.websocket, Credentials.of(file), patience_s=patience_s, timeout_s=timeout_s, tls=tls or file.trusts())

    async def close(self) -> None:
        """End it, with all that it streams."""
        self._dialer.close()
        await self._rest.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # -- what anybody may see -----------------------------------------------------------------------------------------

    async def time(self) -> int:
        """The venue's clock, in nanoseconds of UTC."""
        return int((await self._rest.get("/time", {}, _Time)).time_ns)

    async def instruments(self) -> list[Instrument]:
        """All that is listed."""
        return (await self._rest.get("/instruments", {}, _Instruments)).instruments

    async def instrument(self, symbol: str) -> Instrument:
        """One."""
        return await self._rest.get(f"/instruments/{_part(symbol)}", {}, Instrument)

    async def book(self, symbol: str, *, levels: int = 10, at_least: int = 0) -> Book:
        """The best *levels* of both sides, up to 32. at_least: as of that block or a later one."""
        return await self._rest.get(f"/instruments/{_part(symbol)}/book", {"levels": levels, "at_least": at_least}, Book)

    async def trades(self, symbol: str, *, at_least: int = 0) -> list[Trade]:
        """The last 32, newest first."""
        return (await self._rest.get(f"/instruments/{_part(symbol)}/trades", {"at_least": at_least}, _Trades)).trades

    async def bars(self, symbol: str, *, interval: Interval = "1m", limit: int = 300, at_least: int = 0) -> list[Bar]:
        """The newest, rising; an interval without a trade has none."""
        query: Query = {"interval": interval, "limit": limit, "at_least": at_least}
        return (await self._rest.get(f"/instruments/{_part(symbol)}/bars", query, _Bars)).bars

    async def statistics(self, symbol: str) -> Bar | None:
        """The last 24 hours; None: no trade."""
        return (await self._rest.get(f"/instruments/{_part(symbol)}/statistics", {}, _Statistics)).day

    # -- what is yours ------------------------------------------------------------------------------------------------

    async def me(self) -> Me:
        """Whom the venue takes you for."""
        return await self._rest.get("/me", {}, Me)

    async def balances(self, *, account: int | None = None, at_least: int = 0) -> Balances:
        """What an account has."""
        return await self._rest.get("/balances", {"account": account, "at_least": at_least}, Balances)

    async def orders(
        self, *, status: Literal["open", "ended"] = "open", symbol: str = "", account: int | None = None, at_least: int = 0
    ) -> list[Order]:
        """All that are open, as they were accepted; or those that ended last, newest first."""
        query: Query = {"status": status, "symbol": symbol, "account": account, "at_least": at_least}
        return [each async for page in pages(self._rest, "/orders", query, Orders) for each in page.orders]

    async def find_order(self, order: str, *, at_least: int = 0) -> Order:
        """One, by the venue's number; open, or among the last that ended."""
        return await self._rest.get(f"/orders/{_part(order)}", {"at_least": at_least}, Order)

    async def executions(self, *, account: int | None = None, at_least: int = 0) -> list[Execution]:
        """The last 128 of each partition, newest first."""
        query: Query = {"account": account, "at_least": at_least}
        return [each async for page in pages(self._rest, "/executions", query, Executions) for each in page.executions]

    async def statement(self, *, account: int | None = None, at_least: int = 0) -> list[Line]:
        """The last 128 movements of funds of each partition, newest first."""
        query: Query = {"account": account, "at_least": at_least}
        return [each async for page in pages(self._rest, "/statements", query, Statement) for each in page.lines]

    async def command(self, command_id: Id, *, account: int | None = None) -> Command:
        """What became of a command."""
        return await self._rest.get(f"/commands/{_part(str(command_id))}", {"account": account}, Command)

    # -- commands -----------------------------------------------------------------------------------------------------

    async def order(self, symbol: str, side: Side, quantity: Number, price: Number = "", **terms: Unpack[OrderTerms]) -> Done:
        """Enter an order; without a price a market order. It is on record when this returns."""
        return await self._enter(NewOrder(symbol, side, quantity, price, **terms))

    async def batch(self, orders: Iterable[NewOrder]) -> list[Done | ApiError | OutcomeUnknown]:
        """Enter up to 500 orders, which are decided in this order. What became of each: done, or why not."""
        asked = list(orders)
        ids = [str(each.command_id) for each in asked]
        told = (await self._rest.command("POST", "/orders/batch", {}, {"orders": asked}, _BatchDone, ids)).outcomes
        return list(await asyncio.gather(*(self._of_batch(*each) for each in zip(asked, told, strict=True))))

    async def cancel(self, order: str = "", *, client_order_id: Id = "", symbol: str = "", **target: Unpack[Target]) -> Done:
        """Take away an order: by the venue's number, or by your client order id and its symbol."""
        query, name = _target(target)
        if order:
            return await self._command("DELETE", f"/orders/{_part(order)}", query, None, name, target.get("account"))
        query |= {"client_order_id": str(client_order_id), "symbol": symbol}
        try:
            return (await self._commands("DELETE", "/orders", query, name))[0]
        except OutcomeUnknown as unknown:
            return await self._became(name, target.get("account"), unknown)

    async def replace(
        self, order: str, *, price: Number = "", quantity: Number = "", new_client_order_id: Id = "", **target: Unpack[Target]
    ) -> Done:
        """Another price, open quantity or client order id. The order loses its place unless only its quantity falls."""
        return await self._change(order, target, price=text(price), quantity=text(quantity), new_client_order_id=str(new_client_order_id))

    async def reduce(self, order: str, quantity: Number, **target: Unpack[Target]) -> Done:
        """Take *quantity* off an order, which keeps its place."""
        return await self._change(order, target, reduce_by=text(quantity))

    async def cancel_all(
        self, symbol: str | None = None, *, side: Literal["any", "buys", "sells"] = "any", account: int | None = None
    ) -> list[Done]:
        """Take away all orders of an account, or those of one instrument or side: what was done in each partition."""
        name = new_id()
        return await self._commands("DELETE", "/orders", {"symbol": symbol, "side": side, "account": account, "command_id": name}, name)

    async def deposit(self, asset: str, amount: Number, *, partition: int = 1, account: int | None = None, command_id: Id = "") -> Done:
        """Bring funds, where the venue makes them of nothing (test mode)."""
        return await self._move("/deposits", asset, amount, partition, account, command_id)

    async def withdraw(self, asset: str, amount: Number, *, partition: int = 1, account: int | None = None, command_id: Id = "") -> Done:
        """Take funds, in test mode."""
        return await self._move("/withdrawals", asset, amount, partition, account, command_id)

    # -- alerts -------------------------------------------------------------------------------------------------------

    async def add_alert(self, kind: str, **terms: Unpack[AlertTerms]) -> AlertRule:
        """A rule, from the next block on: price, move, volume, spread, halt, fills, balance. OutcomeUnknown has no id here."""
        body = {"kind": kind, **terms}
        body |= {name: text(terms[name]) for name in ("level", "hysteresis") if name in terms}
        return await self._rest.act("POST", "/alerts", {}, body, AlertRule)

    async def alert_rules(self, *, account: int | None = None) -> list[AlertRule]:
        """Those in force."""
        return (await self._rest.get("/alerts", {"account": account}, _AlertRules)).rules

    async def remove_alert(self, rule: AlertRule) -> None:
        """From the next block on it tells nothing. OutcomeUnknown has no id here."""
        await self._rest.act("DELETE", f"/alerts/{rule.partition}/{rule.rule}", {"account": rule.account}, None, _Removed)

    async def alerts(self, *, account: int | None = None) -> list[Alert]:
        """What rules told, newest first; those that the venue remembers."""
        return [each async for page in pages(self._rest, "/alerts/fired", {"account": account}, Alerts) for each in page.alerts]

    # -- what is pushed -----------------------------------------------------------------------------------------------

    def stream(
        self, channels: Sequence[Channel], symbols: Sequence[str], *, interval: Interval = "1m"
    ) -> AsyncGenerator[Market | Gap, None]:
        """What happens in *symbols*, for as long as it is asked for: first how they are (snapshots), then each change.

        Over a lost connection trades and orders (level3) go on where they stopped, each once, or a Gap says what is missing; of all else
        the present state comes. Raises Denied, NotFound; Unavailable when the venue cannot be reached.
        """
        return market(self._dialer, channels, symbols, interval)

    def book_of(self, symbol: str) -> AbstractAsyncContextManager[LiveBook]:
        """A book that is kept up to date."""
        return following(symbol, self.stream(["level2"], [symbol]))

    def user(self) -> AsyncGenerator[Own | Gap, None]:
        """What happens to your accounts from now on: orders, executions and balances, by block, each once, also over a lost connection.
        Raises as stream.
        """
        return own(self._dialer, self._rest)

    def watch_alerts(self) -> AsyncGenerator[Fired | Gap, None]:
        """What your alert rules tell from now on, each time once, also over a lost connection; after a Gap alerts() has what is remembered.
        Raises as stream.
        """
        return fired(self._dialer, self._rest)

    def session(self, *, partition: int = 0, cancel_on_disconnect: bool = False) -> AbstractAsyncContextManager[Session]:
        """Order entry over a socket. partition: to which its batches go; 0: the lowest."""
        session = Session(self._became, self._patience_s)
        return entered(self._dialer, session, partition=partition, cancel_on_disconnect=cancel_on_disconnect)

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _enter(self, order: NewOrder) -> Done:
        return await self._command("POST", "/orders", {}, order, str(order.command_id), order.account)

    async def _of_batch(self, order: NewOrder, told: _OneOf) -> Done | ApiError | OutcomeUnknown:
        """What became of one; it is asked for alone when it was not decided."""
        if told.done is not None:
            return told.done
        error = error_of(told.problem or Problem("no outcome", 0))
        if isinstance(error, ApiError):
            return error
        try:
            return await self._enter(order)
        except (ApiError, OutcomeUnknown) as why:
            return why

    async def _change(self, order: str, target: Target, **what: str) -> Done:
        query, name = _target(target)
        body = {key: value for key, value in (what | query).items() if value and key != "account"}
        return await self._command("PATCH", f"/orders/{_part(order)}", {}, body, name, target.get("account"))

    async def _move(self, path: str, asset: str, amount: Number, partition: int, account: int | None, command_id: Id) -> Done:
        name = str(command_id or new_id())
        body = {"asset": asset, "amount": text(amount), "partition": partition, "account": account, "command_id": name}
        return await self._command("POST", path, {}, body, name, account)

    async def _command(self, method: Method, path: str, query: Query, body: object, name: str, account: int | None) -> Done:
        try:
            return await self._rest.command(method, path, query, body, Done, [name])
        except OutcomeUnknown as unknown:
            return await self._became(name, account, unknown)

    async def _commands(self, method: Method, path: str, query: Query, name: str) -> list[Done]:
        return await self._rest.command(method, path, query, None, list[Done], [name])

    async def _became(self, name: str, account: int | None, unknown: OutcomeUnknown) -> Done:
        """What the venue says of a command that was sent and not answered. Raises Refused; *unknown* when nobody can say."""
        try:
            async for attempt in patiently(self._patience_s):
                with attempt:
                    return done_of(await self._decided(name, account, unknown))
        except Refused:
            raise
        except (Again, ApiError) as error:
            raise unknown from error
        raise AssertionError("the last attempt returned or raised")

    async def _decided(self, name: str, account: int | None, unknown: OutcomeUnknown) -> Command:
        """Raises Again while it is not, *unknown* when the venue does not have it."""
        found = await self.command(name, account=account)
        if found.status == "open":
            raise Again(Problem("open", 0, found.detail), may_be_done=True)
        if found.status == "unknown":
            raise unknown
        return found


def _part(text: str) -> str:
    """*text* as one part of a path."""
    return quote(text, safe="")


def _target(target: Target) -> tuple[dict[str, str | int | None], str]:
    """As it is sent, and the command's id."""
    name = str(target.get("command_id") or new_id())
    return {"account": target.get("account"), "deadline_ms": target.get("deadline_ms"), "command_id": name}, name


class _Time(msgspec.Struct):
    time_ns: str


class _Instruments(msgspec.Struct):
    instruments: list[Instrument]


class _Trades(msgspec.Struct):
    trades: list[Trade]


class _Bars(msgspec.Struct):
    bars: list[Bar]


class _Statistics(msgspec.Struct):
    day: Bar | None


class _AlertRules(msgspec.Struct):
    rules: list[AlertRule]


class _Removed(msgspec.Struct):
    until_block: int


class _OneOf(msgspec.Struct):
    done: Done | None = None
    problem: Problem | None = None


class _BatchDone(msgspec.Struct):
    outcomes: list[_OneOf]
