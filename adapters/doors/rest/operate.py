"""What operators and administrators do: register, list, open, halt. Every act says why, and is on record with who did it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from litestar import post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from adapters import listing, names
from adapters.decimals import to_rate
from adapters.doors.access import Caller, Denied
from adapters.doors.house import House, NotListed, checked_row
from adapters.doors.rest.people import Text
from adapters.doors.rest.words import Decimals, Rate
from adapters.registry.aggregates import Account, Asset, Calendar, FeeSchedule, Firm, Listing, Role, Taken, User
from adapters.registry.registry import Act, Registered, Unregistered
from commands.messages import SideScope
from domain.columns import MAX_ACCOUNT

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern="^[A-Za-z0-9._-]+$")]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
HIGHEST_PRICE = "10000"


class Made(msgspec.Struct):
    """number: of an account; registered: the place of the act in the registry."""

    name: str
    number: int
    registered: int


class FirmAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A firm."""

    name: Name
    reason: Why


class UserAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A user. Without a password he has keys only."""

    name: Name
    firm: Name
    roles: list[Role]
    reason: Why
    password: Text = ""


class AccountAsked(msgspec.Struct, forbid_unknown_fields=True):
    """An account, and the users who trade for it; partitions are told within a moment."""

    name: Name
    firm: Name
    users: Annotated[list[Name], msgspec.Meta(max_length=64)]
    reason: Why
    group: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


class AssetAsked(msgspec.Struct, forbid_unknown_fields=True):
    """An asset; scale: decimal digits of one unit."""

    name: Name
    scale: Annotated[int, msgspec.Meta(ge=0, le=18)]
    reason: Why


class InstrumentAsked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An instrument; assets are registered before.

    tick_size, lot_size  decimals: what a step of the price and of the quantity is worth
    low_price, high_price  of the band; none: from one tick to 10,000
    maker_rate, taker_rate   so much of the value, 0.1 at most; or
    fees      the name of a fee schedule, whose rates it gets
    calendar  that opens and closes it
    """

    symbol: Annotated[str, msgspec.Meta(min_length=1, max_length=8, pattern="^[A-Z0-9._-]+$")]
    base_asset: Name
    quote_asset: Name
    tick_size: Decimals
    lot_size: Decimals
    reason: Why
    low_price: Decimals = ""
    high_price: Decimals = ""
    maker_rate: Rate = "0"
    taker_rate: Rate = "0"
    fees: Annotated[str, msgspec.Meta(max_length=32)] = ""
    calendar: Annotated[str, msgspec.Meta(max_length=32)] = ""
    partition: Annotated[int, msgspec.Meta(ge=1, le=511)] = 1


class StateAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A trading state."""

    state: Literal["pre_open", "open", "halted", "closed"]
    reason: Why


class CancelAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which side's orders."""

    reason: Why
    side: SideScope = "any"


class StatusAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A status of an account."""

    status: Literal["open", "restricted", "closed"]
    reason: Why


class LimitsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Limits of an account; 0: the instrument's or the partition's."""

    reason: Why
    max_open_orders: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
    max_quantity_lots: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    max_notional: Annotated[int, msgspec.Meta(ge=0, le=2**42)] = 0


@post("/firms", status_code=201, summary="Register a firm")
async def firm(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[FirmAsked]) -> Made:
    """Who answers for users and accounts."""
    caller.needs("administer")
    return await _add(house, data.name, Firm(data.name, caller.user, data.reason))


@post("/users", status_code=201, summary="Register a user")
async def user(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[UserAsked]) -> Made:
    """A person or a machine."""
    caller.needs("administer")
    house.registry.get(Firm, data.firm)
    act = Act(caller.user, data.reason)
    made = await _add(house, data.name, User(data.name, data.firm, data.roles, *act))
    if data.password:
        await asyncio.to_thread(house.credentials.set_password, data.name, data.password, act)
    return made


@post("/accounts", status_code=201, summary="Register an account")
async def account(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[AccountAsked]) -> Made:
    """It is opened in every partition."""
    caller.needs("administer")
    house.registry.get(Firm, data.firm)
    for name in data.users:
        house.registry.get(User, name)
    act = Act(caller.user, data.reason)

    def made(number: int) -> Account:
        if number > MAX_ACCOUNT:
            raise Denied(403, f"there are {MAX_ACCOUNT} accounts, as many as a partition has room for")
        return Account(data.name, number, data.firm, data.users, data.group, *act)

    def highest() -> int:
        return max((each.number for each in house.registry.all(Account)), default=0)

    return await _add_numbered(house, data.name, "accounts", act, highest, made)


@post("/assets", status_code=201, summary="Register an asset")
async def asset(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[AssetAsked]) -> Made:
    """It gets the next number."""
    caller.needs("administer")
    act = Act(caller.user, data.reason)

    def highest() -> int:
        return max((each.number for each in house.registry.all(Asset)), default=0)

    return await _add_numbered(house, data.name, "assets", act, highest, lambda number: Asset(data.name, number, data.scale, *act))


@post("/instruments", status_code=201, summary="List an instrument")
async def instrument(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[InstrumentAsked]) -> Made:
    """Its partition is told within a moment; it trades once its state is `open`. Whether the partition could list it is seen there."""
    caller.needs("operate")
    if data.partition not in house.desks:
        raise NotListed(f"no partition {data.partition}; there are {', '.join(map(str, house.desks))}")
    there = await house.listed()
    if data.symbol in there:
        raise Registered(f"{data.symbol} is listed already, in partition {there[data.symbol].partition}; choose another symbol")
    taken = [each.instrument for each in there.values() if each.partition == data.partition]
    base, quote = (house.registry.get(Asset, name) for name in (data.base_asset, data.quote_asset))
    schedule = house.registry.get(FeeSchedule, data.fees) if data.fees else None
    maker, taker = (schedule.maker_rate, schedule.taker_rate) if schedule else (to_rate(data.maker_rate), to_rate(data.taker_rate))
    if data.calendar:
        house.registry.get(Calendar, data.calendar)
    act = Act(caller.user, data.reason)

    def made(number: int) -> Listing:
        command = listing.command(
            number,
            data.symbol,
            names.Asset(base.number, base.scale),
            names.Asset(quote.number, quote.scale),
            tick=data.tick_size,
            lot=data.lot_size,
            band=(data.low_price or data.tick_size, data.high_price or HIGHEST_PRICE) if data.low_price or data.high_price else None,
            maker=maker,
            taker=taker,
        )
        checked_row(command)
        return Listing(data.symbol, data.partition, listing.terms(command), data.fees, data.calendar, *act)

    def highest() -> int:
        mine = (each for each in house.registry.all(Listing) if each.partition == data.partition)
        return max((*taken, *(int(each.terms["instrument"]) for each in mine)), default=0)

    return await _add_numbered(house, data.symbol, f"instruments of {data.partition}", act, highest, made)


@put("/instruments/{symbol:str}/state", status_code=202, summary="Open, halt or close an instrument")
async def state(house: NamedDependency[House], caller: NamedDependency[Caller], symbol: FromPath[str], data: JSONBody[StateAsked]) -> Made:
    """The partition is asked; whether it could is seen in the instrument's state."""
    caller.needs("operate")
    act = Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, Listing, symbol, lambda found: found.ask_state(data.state, *act))
    return Made(symbol, 0, house.registry.seen)


@post("/instruments/{symbol:str}/mass-cancel", status_code=202, summary="Cancel everybody's orders in an instrument")
async def cancel_all(
    house: NamedDependency[House], caller: NamedDependency[Caller], symbol: FromPath[str], data: JSONBody[CancelAsked]
) -> Made:
    """The partition is asked: at most 16,384 at once, buys before sells, the best first. While its book has orders, ask again."""
    caller.needs("operate")
    act = Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, Listing, symbol, lambda found: found.cancel_orders(data.side, *act))
    return Made(symbol, 0, house.registry.seen)


@put("/accounts/{name:str}/status", status_code=202, summary="Restrict or close an account")
async def status(house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[StatusAsked]) -> Made:
    """Restricted: nothing new, cancels and withdrawals work."""
    caller.needs("operate")
    act = Act(caller.user, data.reason)
    found = await asyncio.to_thread(house.registry.change, Account, name, lambda found: found.set_status(data.status, *act))
    return Made(name, found.number, house.registry.seen)


@put("/accounts/{name:str}/limits", status_code=202, summary="Set an account's limits")
async def limits(house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[LimitsAsked]) -> Made:
    """All of them at once."""
    caller.needs("operate")
    values = (data.max_open_orders, data.max_quantity_lots, data.max_notional)
    act = Act(caller.user, data.reason)
    found = await asyncio.to_thread(house.registry.change, Account, name, lambda found: found.set_limits(*values, *act))
    return Made(name, found.number, house.registry.seen)


@put("/users/{name:str}/end", status_code=202, summary="Close a user")
async def close_user(
    house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[FirmAsked]
) -> Made:
    """His sessions end now, his keys with him."""
    caller.needs("administer")
    if data.name != name:
        raise Unregistered(f"the body names {data.name!r}; right would be {name!r}, so that nobody is closed by mistake")
    act = Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, User, name, lambda found: found.close(*act))
    await asyncio.to_thread(house.sessions.end_all, name)
    return Made(name, 0, house.registry.seen)


async def _add_numbered(
    house: House, name: str, kind: str, act: Act, highest: Callable[[], int], made: Callable[[int], Account | Asset | Listing]
) -> Made:
    """Register what *made* makes of the next number, which nobody else gets, at whatever gateway he asks. Raises Registered."""

    def add() -> Made:
        number = highest()
        while True:
            number += 1
            new = made(number)
            try:
                house.registry.add(new, Taken(kind, number, *act))
            except Registered:
                if house.registry.find(type(new), name) is not None:
                    raise
            else:
                return Made(name, number, house.registry.seen)

    return await asyncio.to_thread(add)


async def _add(house: House, name: str, made: Firm | User) -> Made:
    await asyncio.to_thread(house.registry.add, made)
    return Made(name, 0, house.registry.seen)


HANDLERS = (firm, user, account, asset, instrument, state, cancel_all, status, limits, close_user)
