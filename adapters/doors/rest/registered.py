"""Who and what is registered, as operators and compliance see it, and acts on people's accounts and rights."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from adapters.decimals import to_minor
from adapters.doors.access import Caller, Denied
from adapters.doors.house import House, NotListed
from adapters.doors.rest.asking import Limit, number
from adapters.doors.rest.operate import Made, Name, Why
from adapters.doors.rest.paging import Cursor
from adapters.doors.rest.people import Text
from adapters.doors.rest.words import Decimals
from adapters.registry.aggregates import Account, Asset, Role, User
from adapters.registry.registry import Act, Recorded

_UNSEEN: Final = frozenset({"password", "totp", "secret", "passphrase"})  # hashed or sealed, and nobody's to see all the same
_OURS: Final = frozenset({"originator_id", "originator_version", "timestamp", "originator_topic"})


class UserShape(msgspec.Struct):
    """A user."""

    name: str
    firm: str
    roles: list[str]
    has_password: bool
    has_second_factor: bool
    is_closed: bool


class RegisteredAccount(msgspec.Struct):
    """An account. Limits of 0: the instrument's or the partition's."""

    name: str
    account: int
    firm: str
    users: list[str]
    group: int
    status: str
    max_open_orders: int
    max_quantity_lots: int
    max_notional: int


class ActShape(msgspec.Struct):
    """An event of the registry. number: its place there; what: its own words, without secrets."""

    number: int
    time: str
    event: str
    actor: str
    reason: str
    what: dict[str, str]


class Acts(msgspec.Struct):
    """Newest first. next: cursor of the page after; empty: there is none."""

    acts: list[ActShape]
    next: str


class FundsAsked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Funds to bring to an account in a partition or, with is_taken, to take from it."""

    asset: Name
    amount: Decimals
    is_taken: bool = False
    partition: int = 1
    reason: Why


class UsersAsked(msgspec.Struct, forbid_unknown_fields=True):
    """All who trade for it."""

    users: Annotated[list[Name], msgspec.Meta(max_length=64)]
    reason: Why


class RolesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """All that a user has."""

    roles: list[Role]
    reason: Why


class PasswordAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Your password until now, the code of the second factor where there is one, and the password from now on."""

    password: Text
    new_password: Text
    code: Annotated[str, msgspec.Meta(max_length=16)] = ""


class FactorAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Your password, and the code of the second factor that you have until now."""

    password: Text
    code: Annotated[str, msgspec.Meta(max_length=16)] = ""


class Factor(msgspec.Struct):
    """What authenticator apps read; shown this once."""

    address: str


@get("/users", summary="All users")
async def users(house: NamedDependency[House], caller: NamedDependency[Caller]) -> list[UserShape]:
    """Without what proves who they are."""
    caller.needs("operate")
    found = house.registry.all(User)
    return [UserShape(each.name, each.firm, list(each.roles), bool(each.password), bool(each.totp), each.is_closed) for each in found]


@get("/accounts", summary="All accounts")
async def accounts(house: NamedDependency[House], caller: NamedDependency[Caller]) -> list[RegisteredAccount]:
    """What they may; what they have, their partitions know."""
    caller.needs("operate")
    return [
        RegisteredAccount(
            name=each.name,
            account=each.number,
            firm=each.firm,
            users=each.users,
            group=each.group,
            status=each.status,
            max_open_orders=each.max_open_orders,
            max_quantity_lots=each.max_quantity_lots,
            max_notional=each.max_notional,
        )
        for each in house.registry.all(Account)
    ]


@get("/acts", summary="Who did what")
async def acts(house: NamedDependency[House], caller: NamedDependency[Caller], limit: Limit = 100, cursor: Cursor = "") -> Acts:
    """Every login, key and act of an operator, with actor and reason."""
    caller.needs("audit")
    last = number(cursor) - 1 if cursor else house.registry.seen
    found = await asyncio.to_thread(lambda: list(islice(house.registry.recorded(max(0, last - limit)), min(limit, last))))
    return Acts([_act(each) for each in reversed(found)], str(last - limit + 1) if last > limit else "")


@post("/accounts/{name:str}/funds", status_code=202, summary="Bring or take an account's funds")
async def funds(house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[FundsAsked]) -> Made:
    """The partition is asked; whether it could is seen in the statement."""
    caller.needs("operate")
    if data.partition not in house.desks:
        raise NotListed(f"no partition {data.partition}; there are {', '.join(map(str, house.desks))}")
    asset = house.registry.get(Asset, data.asset)
    amount = to_minor(data.amount, asset.scale) * (-1 if data.is_taken else 1)
    moved = data.partition, asset.number, amount, caller.user, data.reason
    found = await asyncio.to_thread(house.registry.change, Account, name, lambda found: found.move_funds(*moved))
    return Made(name, found.number, house.registry.seen)


@put("/accounts/{name:str}/users", status_code=202, summary="Set who trades for an account")
async def traders(house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[UsersAsked]) -> Made:
    """All of them at once; who is not among them any more is refused from now on."""
    caller.needs("administer")
    for each in data.users:
        house.registry.get(User, each)
    act = Act(caller.user, data.reason)
    found = await asyncio.to_thread(house.registry.change, Account, name, lambda found: found.set_users(data.users, *act))
    return Made(name, found.number, house.registry.seen)


@put("/users/{name:str}/roles", status_code=202, summary="Set a user's roles")
async def roles(house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[RolesAsked]) -> Made:
    """His sessions and keys may so much from now on."""
    caller.needs("administer")
    act = Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, User, name, lambda found: found.set_roles(data.roles, *act))
    return Made(name, 0, house.registry.seen)


@put("/me/password", status_code=204, summary="Change your password")
async def password(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[PasswordAsked]) -> None:
    """All your sessions end."""
    await _prove(house, caller, data.password, data.code)
    act = Act(caller.user, "asked for it")
    await asyncio.to_thread(house.credentials.set_password, caller.user, data.new_password, act)
    await asyncio.to_thread(house.sessions.end_all, caller.user)


@post("/me/second-factor", status_code=201, summary="A new second factor")
async def second_factor(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[FactorAsked]) -> Factor:
    """From now on a login needs its code. The one before, if any, is good no more."""
    await _prove(house, caller, data.password, data.code)
    return Factor(await asyncio.to_thread(house.credentials.set_second_factor, caller.user, Act(caller.user, "asked for it")))


async def _prove(house: House, caller: Caller, secret: str, code: str) -> None:
    """A session may have been left open, a key does not suffice. Raises Denied, LoginRefused."""
    if caller.key:
        raise Denied(403, "this is done by who is logged in, not by a key")
    await asyncio.to_thread(house.credentials.log_in, caller.user, secret, code, caller.address, house.clock())


def _act(recorded: Recorded) -> ActShape:
    said: dict[str, Any] = dict(vars(recorded.event))
    time = said["timestamp"].isoformat()
    actor, reason = said.pop("actor", ""), said.pop("reason", "")
    what = {name: "…" if name in _UNSEEN else str(each) for name, each in said.items() if name not in _OURS}
    return ActShape(recorded.number, time, type(recorded.event).__name__, actor, reason, what)


HANDLERS = (users, accounts, acts, funds, traders, roles, password, second_factor)
