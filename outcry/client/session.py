"""Order entry over a socket: orders one by one, many under way at a time, and in binary batches."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, Unpack

import msgspec

from outcry.client import batch
from outcry.client.batch import Acknowledged
from outcry.client.errors import ApiError, Closed, OutcomeUnknown, OutcryError, Problem, Refused, Unavailable
from outcry.client.retry import Again, error_of, patiently, unavailable
from outcry.client.shapes import Done, Id, NewOrder, Number, OrderTerms, Side, Target, new_id, text
from outcry.client.wire import Dialer, Lost, Said, Wire

Became: TypeAlias = Callable[[str, int | None, OutcomeUnknown], Awaitable[Done]]
"""Asks the venue what became of a command of an account; raises Refused, or the error that it is given when nobody can say."""


class Session:
    """Answers come as the record takes the commands; many may wait at a time. What was under way when the connection is lost is sent again
    over another, with the same ids, and so done once. Methods raise as the client's.

    With cancel_on_disconnect the session ends with its connection, and its orders with it: then whatever is asked of it is Unavailable.
    """

    def __init__(self, became: Became, patience_s: float) -> None:
        self._became, self._patience_s = became, patience_s
        self._ids = map(str, itertools.count(1))
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._wire: Wire | None = None
        self._ready = asyncio.Event()
        self._ended: BaseException | None = None
        self._batching = asyncio.Lock()
        self._sequence = 0

    async def order(self, symbol: str, side: Side, quantity: Number, price: Number = "", **terms: Unpack[OrderTerms]) -> Done:
        """Enter an order; without a price a market order."""
        order = NewOrder(symbol, side, quantity, price, **terms)
        return await self._ask(order.account, str(order.command_id), op="order", **msgspec.structs.asdict(order))

    async def cancel(self, order: str = "", *, client_order_id: Id = "", symbol: str = "", **target: Unpack[Target]) -> Done:
        """Take away an order: by the venue's number, or by your client order id and its symbol."""
        return await self._change("cancel", target, order=order, client_order_id=str(client_order_id), symbol=symbol)

    async def replace(
        self,
        symbol: str,
        order: str = "",
        *,
        client_order_id: Id = "",
        price: Number = "",
        quantity: Number = "",
        new_client_order_id: Id = "",
        **target: Unpack[Target],
    ) -> Done:
        """Another price, open quantity or client order id. The order loses its place unless only its quantity falls."""
        what = {"price": text(price), "quantity": text(quantity), "new_client_order_id": str(new_client_order_id)}
        return await self._change("replace", target, symbol=symbol, order=order, client_order_id=str(client_order_id), **what)

    async def reduce(self, symbol: str, quantity: Number, order: str = "", *, client_order_id: Id = "", **target: Unpack[Target]) -> Done:
        """Take *quantity* off an order, which keeps its place."""
        what = {"symbol": symbol, "order": order, "client_order_id": str(client_order_id), "quantity": text(quantity)}
        return await self._change("reduce", target, **what)

    async def send_batch(self, rows: Iterable[bytes], *, first_sequence: int = 0) -> Acknowledged:
        """Have up to 16,384 rows of outcry.client.batch decided together, in this order; one frame there, one back, one batch at a time.

        The rows are numbered in the key's session: of the sessions with one key only one may send batches. The command_id of OutcomeUnknown
        is the number of the first row: the same rows may be sent again with it as *first_sequence*, as long as no others were.
        """
        async with self._batching:
            wire = await self._connected()
            first = first_sequence or max(self._sequence, time.time_ns())
            frame = batch.encode(rows, int(wire.welcome.session), first)
            self._sequence = first + (len(frame) - batch.HEADER.size) // batch.ROW.size
            answer = await self._surely(batch.checksum(frame), lambda connected: connected.send(frame), str(first))
        return batch.acknowledged(answer)

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _change(self, op: str, target: Target, **words: str) -> Done:
        command_id = str(target.get("command_id") or new_id())
        asked = {**target, **words, "command_id": command_id}
        return await self._ask(target.get("account"), command_id, op=op, **asked)

    async def _ask(self, owner: int | None, named: str, **words: Any) -> Done:
        name = next(self._ids)
        try:
            answer = await self._surely(name, lambda wire: wire.say(id=name, **words), named)
        except OutcomeUnknown as unknown:
            return await self._became(named, owner, unknown)
        return msgspec.json.decode(answer, type=_Answer).done

    async def _surely(self, name: str, say: Callable[[Wire], None], command_id: str) -> bytes:
        """The answer to what *say* says, which may be said again. Raises ApiError when it was not done, OutcomeUnknown."""
        asked = _Asked()
        try:
            async with asyncio.timeout(self._patience_s):
                async for attempt in patiently(self._patience_s):
                    with attempt:
                        return await self._answer(name, say, asked)
        except Refused:
            raise
        except (Again, OutcryError, TimeoutError) as error:
            if asked.may_be_done:
                raise OutcomeUnknown([command_id], str(error) or "no answer came") from error
            if isinstance(error, TimeoutError):
                raise unavailable(Again(Problem("not connected", 0), may_be_done=False)) from error
            raise (unavailable(error) if isinstance(error, Again) else error) from error
        raise AssertionError("the last attempt returned or raised")

    async def _answer(self, name: str, say: Callable[[Wire], None], asked: _Asked) -> bytes:
        """As _surely; over one connection after another. Raises Again when the venue says not now."""
        before = asked.may_be_done
        while True:
            wire = await self._connected()
            future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._waiting[name] = future
            try:
                say(wire)
                asked.may_be_done = True
                return await future
            except Lost:
                before = asked.may_be_done
            except Again as again:
                asked.may_be_done = before or again.may_be_done
                raise
            except ApiError:
                asked.may_be_done = before
                raise
            finally:
                self._waiting.pop(name, None)

    async def _connected(self) -> Wire:
        """Raises what ended the session."""
        while self._ended is None:
            if self._wire is not None and self._wire.is_open:
                return self._wire
            self._ready.clear()
            await self._ready.wait()
        raise self._ended

    async def run(self, dialer: Dialer, *, partition: int, cancel_on_disconnect: bool) -> None:
        """Keep connected, and hand out answers, until cancelled or the venue cannot be reached."""
        try:
            while True:
                with await dialer.connect(partition=partition, cancel_on_disconnect=cancel_on_disconnect) as wire:
                    self._wire = wire
                    self._ready.set()
                    try:
                        while True:
                            self._hand_out(await wire.next())
                    except Lost as lost:
                        self._fail(lost)
                        if cancel_on_disconnect:
                            raise Unavailable(Problem("the session has ended", 0, f"{lost}, and its orders went with it")) from lost
        except Exception as error:  # noqa: BLE001 # whatever it is, it is told to who waits
            self._ended = error
        finally:
            if self._ended is None:
                self._ended = Closed("the session was left")
            self._ready.set()
            self._fail(Lost(str(self._ended)))

    def _fail(self, error: Exception) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)

    def _hand_out(self, said: Said) -> None:
        head, payload = said
        future = self._waiting.get(batch.checksum(payload) if head is None else head.id)
        if future is None or future.done():
            return
        if head is not None and head.problem is not None:
            future.set_exception(error_of(head.problem))
        else:
            future.set_result(payload)


class _Asked:
    may_be_done = False


class _Answer(msgspec.Struct):
    done: Done


@asynccontextmanager
async def entered(dialer: Dialer, session: Session, *, partition: int, cancel_on_disconnect: bool) -> AsyncIterator[Session]:
    """*session* with a connection of *dialer*."""
    task = asyncio.ensure_future(session.run(dialer, partition=partition, cancel_on_disconnect=cancel_on_disconnect))
    try:
        yield session
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
