"""Trading: enter and cancel orders, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from adapters import times
from adapters.doors.access import Caller
from adapters.doors.coinbase import own, shapes
from adapters.doors.coinbase.entry import NewOrder, command
from adapters.doors.coinbase.ids import ORDER, client_order_id, of_uuid
from adapters.doors.coinbase.market_data import PAGE, Cursor, Limit
from adapters.doors.coinbase.own import NO_ORDER, Held, Memory, ProfileId, profile
from adapters.doors.coinbase.problems import NotFound
from adapters.doors.coinbase.products import Products, products
from adapters.doors.coinbase.shapes import OrderShape
from adapters.doors.coinbase.signing import once
from adapters.doors.house import House, Listed, Outcome
from adapters.doors.rest.asking import AnyRequest, settle
from adapters.doors.rest.problems import Refused
from commands.messages import CancelOrder, MassCancel
from commands.messages import NewOrder as Entered
from domain.columns import PARTITION_SHIFT
from domain.events import ORDER_REMOVED, TRADE_EXECUTED
from domain.verbs import ORDER_TYPES, SIDES, TIMES_IN_FORCE
from projections import layouts

CLIENT: Final = "client:"
OPEN: Final = frozenset({"open", "pending", "active", "received"})
ENDED: Final = frozenset({"done", "rejected"})
MAX_STATUSES: Final = 8
ProductId = Annotated[str, QueryParameter(name="product_id", max_length=40)]
Since = Annotated[str, QueryParameter(max_length=40)]


class Where(msgspec.Struct):
    """What may stand in the body of a cancel instead of in its query."""

    product_id: str = ""
    profile_id: str = ""


@post("/orders", status_code=200)
async def enter(
    request: AnyRequest,
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    memory: NamedDependency[Memory],
    data: JSONBody[NewOrder],
) -> OrderShape:
    """It is on record when this answers, with what it traded at once."""
    caller.needs("trade")
    once(request, house, caller)
    account = profile(caller, data.profile_id)
    known = await products(house)
    listed = known.get(data.product_id)
    number = memory.learn(account, data.client_oid) if data.client_oid else 0
    answer = await house.reads.row("quotes", layouts.quote_key(listed.instrument), listed.partition)
    quote = layouts.QUOTE.one(answer.row) if answer.row else None
    made = command(data, listed, account, number, house.clock(), quote)
    _, outcome = await settle(house, listed.partition, made)
    if outcome.events[0].kind == "CommandRepeated":
        order = int(outcome.events[0].fields["first_detail"])
        return _shape(known, memory, await own.by_number(house, account, order))
    shape = shapes.order(listed, known.id(listed), _entered(listed, made, outcome), data.client_oid)
    shape.post_only = data.post_only
    shape.funds = str(data.funds)
    return shape


@get("/orders")
async def orders(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    memory: NamedDependency[Memory],
    status: Annotated[list[str] | None, QueryParameter(max_items=MAX_STATUSES)] = None,
    product_id: ProductId = "",
    profile_id: ProfileId = "",
    limit: Limit = PAGE,
    before: Cursor = "",
    after: Cursor = "",
    start_date: Since = "",
    end_date: Since = "",
) -> Response[Any]:
    """Newest first: all open ones, and the last 128 that ended in each partition."""
    caller.needs("read")
    account = profile(caller, profile_id)
    known = await products(house)
    wanted = _statuses(status or [])
    found: list[Held] = []
    for ended, states in ((False, OPEN), (True, ENDED)):
        if wanted & states:
            found += await own.orders(house, account, ended=ended)
    if product_id:
        listed = known.get(product_id)
        found = [each for each in found if (each.partition, each.order.instrument) == (listed.partition, listed.instrument)]
    found = _between(found, start_date, end_date)
    return shapes.page(found, _cursor, lambda each: _shape(known, memory, each), limit=limit, before=before, after=after)


@get("/orders/{order:str}")
async def order(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    memory: NamedDependency[Memory],
    order: FromPath[str],
    profile_id: ProfileId = "",
) -> OrderShape:
    """One, by its id or by `client:` and its client_oid; open, or among the last that ended."""
    caller.needs("read")
    account = profile(caller, profile_id)
    if order.startswith(CLIENT):
        found = await own.by_client_order_id(house, account, client_order_id(order.removeprefix(CLIENT)))
    else:
        found = await own.by_number(house, account, _number(order))
    return _shape(await products(house), memory, found)


@delete("/orders/{order:str}", status_code=200)
async def cancel(
    request: AnyRequest,
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    order: FromPath[str],
    product_id: ProductId = "",
    profile_id: ProfileId = "",
) -> Response[str]:
    """One, by its id or by `client:` and its client_oid. Answers the id that was asked for."""
    caller.needs("trade")
    where = await _where(request, product_id, profile_id)
    account = profile(caller, where.profile_id)
    if order.startswith(CLIENT):
        once(request, house, caller)
        await _cancel_by_client_oid(house, account, client_order_id(order.removeprefix(CLIENT)), where)
    else:
        number = _number(order)
        if number >> PARTITION_SHIFT not in house.desks:
            raise NotFound(NO_ORDER)
        await settle(house, number >> PARTITION_SHIFT, CancelOrder(account=account, order=number))
    return Response(order.removeprefix(CLIENT), media_type="application/json")


@delete("/orders", status_code=200)
async def cancel_all(
    request: AnyRequest,
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    product_id: ProductId = "",
    profile_id: ProfileId = "",
) -> list[str]:
    """All, or those of a product. Answers their ids."""
    caller.needs("trade")
    once(request, house, caller)
    where = await _where(request, product_id, profile_id)
    account = profile(caller, where.profile_id)
    listed = (await products(house)).get(where.product_id) if where.product_id else None
    scope = MassCancel(account=account, instrument=listed.instrument if listed else 0)
    gone: list[str] = []
    for partition in [listed.partition] if listed else house.desks:
        more = True
        while more:
            _, outcome = await settle(house, partition, scope)
            gone += [shapes.order_id(int(event.fields["order"])) for event in outcome.events if event.kind == "OrderRemoved"]
            more = bool(outcome.events[0].fields["more"])
    return gone


async def _cancel_by_client_oid(house: House, account: int, number: int, where: Where) -> None:
    """Where its product is, else wherever it is. Raises Refused by the last that was asked."""
    partitions = [(await products(house)).get(where.product_id).partition] if where.product_id else list(house.desks)
    for left, partition in enumerate(partitions, 1 - len(partitions)):
        try:
            await settle(house, partition, CancelOrder(account=account, client_order_id=number))
        except Refused as refused:
            if left == 0 or refused.event.fields["rule"] != "unknown_order":
                raise
        else:
            return


async def _where(request: AnyRequest, product_id: str, profile_id: str) -> Where:
    body = await request.body()
    said = msgspec.json.decode(body, type=Where) if body else Where()
    return Where(product_id or said.product_id, profile_id or said.profile_id)


def _entered(listed: Listed, made: Entered, outcome: Outcome) -> layouts.Order:
    """The row of an order that was just accepted."""
    accepted, *rest = outcome.events
    mine = accepted.fields["order"]
    fills = [event.fields for event in rest if event.kind == "TradeExecuted"]
    filled = sum(int(each["quantity_lots"]) for each in fills)
    prevented = sum(int(event.fields["quantity_lots"]) for event in rest if event.kind == "SelfTradePrevented")
    left = made.quantity_lots - filled - prevented
    is_removed = any(event.kind == "OrderRemoved" and event.fields["order"] == mine for event in rest)
    is_open = left > 0 and not is_removed
    return layouts.Order(
        order=int(mine),
        account=made.account,
        instrument=made.instrument,
        side=SIDES.index(made.side),
        order_type=ORDER_TYPES.index(made.order_type),
        time_in_force=TIMES_IN_FORCE.index(made.time_in_force),
        client_order_id=made.client_order_id,
        price_ticks=int(accepted.fields["price_ticks"]),
        quantity_lots=made.quantity_lots,
        open_lots=left if is_open else 0,
        filled_lots=filled,
        value=sum(int(each["price_ticks"]) * int(each["quantity_lots"]) for each in fills) * listed.terms.quote_units,
        fees=sum(int(each["taker_fee"]) for each in fills),
        accepted_ns=made.received_ns,
        changed_ns=made.received_ns,
        ended_by=0 if is_open else TRADE_EXECUTED if not (is_removed or prevented) else ORDER_REMOVED,
        reason=0,
    )


def _shape(known: Products, memory: Memory, found: Held) -> OrderShape:
    listed = known.by_number[found.partition, found.order.instrument]
    client_oid = memory.client_oid(found.order.account, found.order.client_order_id)
    return shapes.order(listed, known.id(listed) or listed.symbol, found.order, client_oid)


def _number(order: str) -> int:
    """Raises BadId, NotFound for a UUID that is not ours."""
    number = of_uuid(ORDER, order)
    if number is None:
        raise NotFound(NO_ORDER)
    return number


def _statuses(asked: list[str]) -> frozenset[str]:
    """None: open ones. Raises BadId for one that there is not."""
    known = OPEN | ENDED
    if not asked:
        return OPEN
    if "all" in asked:
        return known
    unknown = sorted(set(asked) - known)
    if unknown:
        raise msgspec.ValidationError(f"status {unknown[0]!r} is none; right would be all, {', '.join(sorted(known))}")
    return frozenset(asked)


def _between(found: list[Held], start_date: str, end_date: str) -> list[Held]:
    """Those that were accepted then. Raises BadTime."""
    start_ns = times.to_ns(start_date) if start_date else 0
    end_ns = times.to_ns(end_date) if end_date else 2**63 - 1
    return [each for each in found if start_ns <= each.order.accepted_ns <= end_ns]


def _cursor(found: Held) -> shapes.Cursor:
    return found.order.accepted_ns, found.order.order


HANDLERS = (enter, orders, order, cancel, cancel_all)
