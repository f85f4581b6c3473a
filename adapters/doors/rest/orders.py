"""Trading: enter, change and take away orders, and what became of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Annotated, Literal, TypeVar

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from adapters.decimals import to_lots, to_ticks
from adapters.doors import shapes
from adapters.doors.access import Caller
from adapters.doors.house import MAX_COMMAND_ID, House, Listed, NotListed, Outcome
from adapters.doors.rest import quick
from adapters.doors.rest.asking import (
    AccountNumber,
    AtLeast,
    IdInPath,
    Limit,
    account_of,
    command_id_of,
    deadline_of,
    number,
    obeyed,
    settled,
)
from adapters.doors.rest.paging import Cursor, page
from adapters.doors.rest.problems import UNKNOWN, Problem, Unknown, problem_of
from adapters.doors.rest.words import ClientOrderId, ClientOrderIdInQuery, CommandId, CommandIdInQuery, Deadline, Decimals, NewOrder
from adapters.doors.shapes import AsOf, Done, ExecutionShape, OrderShape
from adapters.reads.answer import Asked
from adapters.tickets import Ticket, new_order
from commands.codec import events
from commands.messages import CancelOrder, Command, MassCancel, ReduceOrder, ReplaceOrder, SideScope
from domain.columns import PARTITION_SHIFT
from projections import layouts
from projections.packed import Layout

T = TypeVar("T")
Row = TypeVar("Row", layouts.Order, layouts.Execution)
MAX_BATCH = 500


class Change(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of an order: price and open quantity (it loses its place unless only the quantity falls), or take some off."""

    price: Decimals = ""
    quantity: Decimals = ""
    reduce_by: Decimals = ""
    new_client_order_id: ClientOrderId = ""
    command_id: CommandId = ""
    deadline_ms: Deadline = 0


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """Orders that are decided in this order; each has its own outcome."""

    orders: Annotated[list[NewOrder], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class OneOf(msgspec.Struct):
    """What became of one: done, or the problem."""

    done: Done | None = None
    problem: Problem | None = None


class BatchDone(msgspec.Struct):
    """What became of each, in the same order."""

    outcomes: list[OneOf]


class Orders(msgspec.Struct):
    """Open ones as they were accepted, or ended ones newest first. next: cursor of the page after; empty: there is none."""

    orders: list[OrderShape]
    as_of: list[AsOf]
    next: str


class Executions(msgspec.Struct):
    """Newest first. next: cursor of the page after; empty: there is none."""

    executions: list[ExecutionShape]
    as_of: list[AsOf]
    next: str


@post("/orders", status_code=200, summary="Enter an order")
async def enter(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[NewOrder]) -> Done:
    """It is on record when this answers. Refused by a rule of the market: 422 with the rule, what it allows and what it saw."""
    return await entered(house, caller, data)


@post("/orders/batch", status_code=200, summary="Enter several orders")
async def enter_batch(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[Batch]) -> BatchDone:
    """Each is answered as it would be alone."""
    prepared = [await _or_error(_command(house, caller, each, which)) for which, each in enumerate(data.orders)]
    sent = [  # tasks begin in the order of their making, so the commands come to the desk in that of the orders
        made if isinstance(made, Exception) else asyncio.ensure_future(_or_error(_settled(house, *made, each)))
        for made, each in zip(prepared, data.orders, strict=True)
    ]
    outcomes = [each if isinstance(each, Exception) else await each for each in sent]
    return BatchDone([OneOf(problem=problem_of(each)[0]) if isinstance(each, Exception) else OneOf(each) for each in outcomes])


@get("/orders", summary="Your orders")
async def orders(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    account: AccountNumber = None,
    status: FromQuery[Literal["open", "ended"]] = "open",
    symbol: Annotated[str | None, QueryParameter(max_length=8)] = None,
    limit: Limit = 100,
    cursor: Cursor = "",
    at_least: AtLeast = 0,
) -> Orders:
    """Open: all that are. Ended: the last 128 of an account in each partition."""
    caller.needs("read")
    kind = "order" if status == "open" else "ended"
    found, said = await _everywhere(house, "orders", kind, account_of(caller, account), layouts.ORDER, at_least)
    wanted = [(listed, each) for listed, each in found if symbol in {None, listed.symbol}]
    is_open = status == "open"
    shown, after = page(
        wanted, lambda pair: (pair[1].accepted_ns if is_open else pair[1].changed_ns, pair[1].order, 0), cursor, limit, is_rising=is_open
    )
    return Orders([shapes.order(*pair) for pair in shown], said, after)


@get("/orders/{order:str}", summary="One order")
async def order(house: NamedDependency[House], caller: NamedDependency[Caller], order: IdInPath, at_least: AtLeast = 0) -> OrderShape:
    """Open, or among the last that ended."""
    caller.needs("read")
    return shapes.order(*await _find(house, caller, number(order), at_least))


@patch("/orders/{order:str}", summary="Change an order")
async def change(house: NamedDependency[House], caller: NamedDependency[Caller], order: IdInPath, data: JSONBody[Change]) -> Done:
    """Replace price and open quantity, or reduce."""
    caller.needs("trade")
    listed, found = await _find(house, caller, number(order), 0)
    terms, command_id = listed.terms, command_id_of(caller, data.command_id)
    command: Command
    if data.reduce_by:
        lots = to_lots(data.reduce_by, terms.lot_size_e9)
        command = ReduceOrder(account=found.account, order=found.order, quantity_lots=lots, sequence=command_id)
    else:
        command = ReplaceOrder(
            account=found.account,
            order=found.order,
            price_ticks=to_ticks(data.price, terms.tick_size_e9) if data.price else 0,
            quantity_lots=to_lots(data.quantity, terms.lot_size_e9) if data.quantity else 0,
            new_client_order_id=number(data.new_client_order_id) if data.new_client_order_id else 0,
            sequence=command_id,
        )
    return await settled(house, listed.partition, command, listed, deadline_of(data.deadline_ms))


@delete("/orders/{order:str}", status_code=200, summary="Cancel an order")
async def cancel(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    order: IdInPath,
    account: AccountNumber = None,
    command_id: CommandIdInQuery = "",
) -> Done:
    """By the venue's number. Who has several accounts names the one."""
    caller.needs("trade")
    wanted = number(order)
    owner = account_of(caller, account)
    partition = _partition_of(house, wanted)
    command = CancelOrder(account=owner, order=wanted, sequence=command_id_of(caller, command_id))
    return await settled(house, partition, command, None)


@delete("/orders", status_code=200, summary="Cancel many orders")
async def cancel_all(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    account: AccountNumber = None,
    symbol: Annotated[str | None, QueryParameter(max_length=8)] = None,
    client_order_id: ClientOrderIdInQuery = "",
    side: FromQuery[SideScope] = "any",
    command_id: CommandIdInQuery = "",
) -> list[Done]:
    """All of an account, of one instrument or of one side; or the one with a client order id of yours, which then needs its symbol."""
    caller.needs("trade")
    owner = account_of(caller, account)
    listed = await house.instrument(symbol) if symbol else None
    if client_order_id:
        if listed is None:
            raise msgspec.ValidationError("a client order id is looked for where its instrument is; right would be symbol= beside it")
        command = CancelOrder(account=owner, client_order_id=number(client_order_id), sequence=command_id_of(caller, command_id))
        return [await settled(house, listed.partition, command, listed)]
    scope = MassCancel(
        account=owner, instrument=listed.instrument if listed else 0, side_scope=side, sequence=command_id_of(caller, command_id)
    )
    return [await settled(house, partition, scope, listed) for partition in ([listed.partition] if listed else house.desks)]


@get("/executions", summary="Your executions")
async def executions(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    account: AccountNumber = None,
    limit: Limit = 100,
    cursor: Cursor = "",
    at_least: AtLeast = 0,
) -> Executions:
    """The last 128 of an account in each partition."""
    caller.needs("read")
    found, said = await _everywhere(house, "executions", "execution", account_of(caller, account), layouts.EXECUTION, at_least)
    shown, after = page(found, lambda pair: (pair[1].time_ns, pair[1].number, pair[1].is_maker), cursor, limit)
    return Executions([shapes.execution(*pair) for pair in shown], said, after)


async def entered(house: House, caller: Caller, data: NewOrder) -> Done:
    """What became of an order; an ordinary one goes the short way. Raises Denied, NotListed, BadDecimal and what settled raises."""
    caller.needs("trade")
    account = account_of(caller, data.account)
    listed = await house.instrument(data.symbol)
    command_id = command_id_of(caller, data.command_id) or secrets.randbelow(MAX_COMMAND_ID) + 1
    row = quick.order_row(data, account, listed, command_id)
    if row is None:
        return await _settled(house, *await _command(house, caller, data), data)
    try:
        seq, first_event, rows = await house.desks[listed.partition].send(row, deadline_of(data.deadline_ms))
    except UNKNOWN as error:
        raise Unknown(command_id, error) from error
    short = quick.done(rows, listed.partition, seq, first_event, "NewOrder", command_id, listed, house.durability)
    if short is not None:
        return short
    outcome = Outcome(listed.partition, seq, events(rows, first_event))
    obeyed(outcome, command_id)
    return shapes.done(outcome, command_id, "NewOrder", listed, house.durability)


async def _everywhere(
    house: House, view: str, kind: str, account: int, layout: Layout[Row], at_least: int
) -> tuple[list[tuple[Listed, Row]], list[AsOf]]:
    """The rows of a kind that an account has in each partition, with their instruments; and as of which blocks."""
    by_number = await _by_number(house)
    found: list[tuple[Listed, Row]] = []
    said: list[AsOf] = []
    for partition in house.desks:
        answer = await house.own(Asked(view, f"{kind}:{account}", partition, is_group=True), account, at_least)
        said.append(shapes.as_of(answer))
        found += [(by_number[partition, each.instrument], each) for each in map(layout.one, answer.rows.values())]
    return found, said


async def _settled(house: House, listed: Listed, command: Command, data: NewOrder) -> Done:
    return await settled(house, listed.partition, command, listed, deadline_of(data.deadline_ms))


async def _or_error(result: Awaitable[T]) -> T | Exception:
    """Each of a batch has its own."""
    try:
        return await result
    except Exception as error:  # noqa: BLE001 # whatever it is, it is one order's
        return error


async def _command(house: House, caller: Caller, data: NewOrder, which: int = 0) -> tuple[Listed, Command]:
    caller.needs("trade")
    account = account_of(caller, data.account)
    listed = await house.instrument(data.symbol)
    named = {field: getattr(data, field) for field in Ticket.__struct_fields__ if field != "client_order_id"}
    ticket = Ticket(client_order_id=number(data.client_order_id) if data.client_order_id else 0, **named)
    command = new_order(ticket, account, listed.instrument, listed.terms)
    return listed, msgspec.structs.replace(command, sequence=command_id_of(caller, data.command_id, which))


async def _find(house: House, caller: Caller, wanted: int, at_least: int) -> tuple[Listed, layouts.Order]:
    """Raises NotListed, Behind."""
    partition = _partition_of(house, wanted)
    for account in sorted(caller.accounts):
        answer = await house.own(Asked("orders", layouts.order_key(account, wanted), partition), account, at_least)
        rows = [answer.row] if answer.row else []
        if not rows:
            ended = await house.own(Asked("orders", f"ended:{account}", partition, is_group=True), account, at_least)
            rows = [row for row in ended.rows.values() if layouts.ORDER.one(row).order == wanted]
        for row in rows:
            found = layouts.ORDER.one(row)
            return (await _by_number(house))[partition, found.instrument], found
    raise NotListed(f"none of your orders is called {wanted}, as far as the last that ended go back")


def _partition_of(house: House, order: int) -> int:
    """Raises NotListed."""
    partition = order >> PARTITION_SHIFT
    if partition not in house.desks:
        raise NotListed(f"no order is called {order}")
    return partition


async def _by_number(house: House) -> dict[tuple[int, int], Listed]:
    return {(each.partition, each.instrument): each for each in (await house.listed()).values()}


HANDLERS = (enter, enter_batch, orders, order, change, cancel, cancel_all, executions)
