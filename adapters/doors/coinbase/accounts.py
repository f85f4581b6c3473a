"""What an account has, and its fills and fees."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from adapters import times
from adapters.decimals import from_minor, from_rate
from adapters.doors.access import Caller
from adapters.doors.coinbase import own, shapes
from adapters.doors.coinbase.ids import ACCOUNT, ASSET_BITS, ORDER, PROFILE, of_uuid, to_uuid
from adapters.doors.coinbase.market_data import PAGE, Cursor, Limit
from adapters.doors.coinbase.own import ProfileId, profile
from adapters.doors.coinbase.problems import NotFound
from adapters.doors.coinbase.products import products
from adapters.doors.house import House
from adapters.registry.aggregates import Account as Registered
from domain.events import TRADE_EXECUTED
from projections import layouts

_KINDS: Final = {TRADE_EXECUTED: "match"}


class Account(msgspec.Struct):
    """What a profile has of a currency, in all partitions together."""

    id: str
    currency: str
    balance: str
    hold: str
    available: str
    profile_id: str
    trading_enabled: bool


class Profile(msgspec.Struct):
    """An account of ours, of which a key may have several."""

    id: str
    user_id: str
    name: str
    active: bool
    is_default: bool


class Fees(msgspec.Struct):
    """The highest of any product."""

    maker_fee_rate: str
    taker_fee_rate: str


class Entry(msgspec.Struct):
    """A line of a ledger. balance: of its partition, after it."""

    id: int
    amount: str
    balance: str
    created_at: str
    type: str


class Filled(NamedTuple):
    """An execution and the partition that has it."""

    partition: int
    execution: layouts.Execution


@get("/accounts")
async def accounts(house: NamedDependency[House], caller: NamedDependency[Caller], profile_id: ProfileId = "") -> list[Account]:
    """All currencies of a profile; a key that has several names one."""
    caller.needs("read")
    return await _accounts(house, profile(caller, profile_id))


@get("/accounts/{id:str}")
async def account(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    id: FromPath[str],  # noqa: A002 # the dialect's word
) -> Account:
    """One currency of a profile."""
    caller.needs("read")
    number = (of_uuid(ACCOUNT, id) or 0) >> ASSET_BITS
    for each in await _accounts(house, number) if number in caller.accounts else []:
        if each.id == id:
            return each
    raise NotFound("account not found")


@get("/accounts/{id:str}/ledger")
async def ledger(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    id: FromPath[str],  # noqa: A002 # the dialect's word
    limit: Limit = PAGE,
    before: Cursor = "",
    after: Cursor = "",
) -> Response[Any]:
    """How a balance came about, newest first, fees taken off: what is left of the last 128 movements of a profile in each partition."""
    caller.needs("read")
    number, asset = divmod(of_uuid(ACCOUNT, id) or 0, 2**ASSET_BITS)
    scale = {each.number: each.scale for each in house.assets().values()}.get(asset, 0)
    found = []
    for answer in await own.read(house, "statements", "statement", number) if number in caller.accounts else []:
        found += [line for line in map(layouts.LINE.one, answer.rows.values()) if line.asset == asset]

    def shape(line: layouts.Line) -> Entry:
        amount, balance = (f"{from_minor(units, scale):f}" for units in (line.amount - line.fee, line.total))
        return Entry(shapes.trade_id(line.number), amount, balance, shapes.at(line.time_ns), _KINDS.get(line.kind, "transfer"))

    return shapes.page(found, lambda line: (line.time_ns, line.number, line.total), shape, limit=limit, before=before, after=after)


@get("/profiles")
async def profiles(house: NamedDependency[House], caller: NamedDependency[Caller]) -> list[Profile]:
    """Yours."""
    caller.needs("read")
    mine = sorted((each for each in house.registry.all(Registered) if each.number in caller.accounts), key=lambda each: each.number)
    return [
        Profile(to_uuid(PROFILE, each.number), caller.user, each.name, active=each.status == "open", is_default=len(mine) == 1)
        for each in mine
    ]


@get("/fees")
async def fees(house: NamedDependency[House], caller: NamedDependency[Caller]) -> Fees:
    """Of a trade's value. Each product has its own: its maker_rate and taker_rate in /v1/instruments."""
    caller.needs("read")
    terms = [listed.terms for listed in (await house.listed()).values()]
    highest = (max((getattr(each, name) for each in terms), default=0) for name in ("maker_rate", "taker_rate"))
    return Fees(*(str(from_rate(rate)) for rate in highest))


@get("/fills")
async def fills(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    order_id: Annotated[str, QueryParameter(max_length=36)] = "",
    product_id: Annotated[str, QueryParameter(max_length=40)] = "",
    profile_id: ProfileId = "",
    limit: Limit = PAGE,
    before: Cursor = "",
    after: Cursor = "",
    start_date: Annotated[str, QueryParameter(max_length=40)] = "",
    end_date: Annotated[str, QueryParameter(max_length=40)] = "",
) -> Response[Any]:
    """Newest first: the last 128 in each partition, of an order, of a product, or all."""
    caller.needs("read")
    owner = profile(caller, profile_id)
    known = await products(house)
    wanted = known.get(product_id) if product_id else None
    number = of_uuid(ORDER, order_id) if order_id else None
    start_ns, end_ns = times.to_ns(start_date) if start_date else 0, times.to_ns(end_date) if end_date else 2**63 - 1
    found = [
        Filled(answer.partition, each)
        for answer in await own.read(house, "executions", "execution", owner)
        for each in map(layouts.EXECUTION.one, answer.rows.values())
        if (not order_id or each.order == number)
        and (wanted is None or (answer.partition, each.instrument) == (wanted.partition, wanted.instrument))
        and start_ns <= each.time_ns <= end_ns
    ]

    def shape(each: Filled) -> shapes.Fill:
        listed = known.by_number[each.partition, each.execution.instrument]
        return shapes.fill(listed, known.id(listed) or listed.symbol, owner, each.execution)

    return shapes.page(found, _cursor, shape, limit=limit, before=before, after=after)


def _cursor(each: Filled) -> shapes.Cursor:
    return each.execution.time_ns, each.execution.number, each.execution.is_maker


async def _accounts(house: House, number: int) -> list[Account]:
    assets = house.assets()
    has: dict[int, tuple[int, int]] = {}
    for answer in await own.read(house, "balances", "balance", number):
        for key, row in answer.rows.items():
            asset, found = int(key.rpartition(":")[2]), layouts.BALANCE.one(row)
            available, held = has.get(asset, (0, 0))
            has[asset] = available + found.available, held + found.held
    said = []
    for asset, (available, held) in sorted(has.items()):
        name, scale = (assets[asset].name, assets[asset].scale) if asset in assets else (str(asset), 0)
        balance, hold, free = (f"{from_minor(amount, scale):f}" for amount in (available + held, held, available))
        profile_id = to_uuid(PROFILE, number)
        said.append(Account(to_uuid(ACCOUNT, number << ASSET_BITS | asset), name, balance, hold, free, profile_id, trading_enabled=True))
    return said


HANDLERS = (accounts, account, ledger, profiles, fees, fills)
