"""Who you are here: sessions and keys."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from adapters.doors.access import BEARER, Caller, Denied
from adapters.doors.house import House
from adapters.doors.rest.asking import AnyRequest, address_of
from adapters.registry.aggregates import Account, ApiKey, KeyKind, Scope
from adapters.registry.registry import Act, Unregistered
from adapters.times import from_ns, to_ns

MAX_TEXT = 256
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """code: of the second factor, where there is one."""

    user: Text
    password: Text
    code: Annotated[str, msgspec.Meta(max_length=16)] = ""


class Begun(msgspec.Struct):
    """token: say `Authorization: Bearer <token>` with every request."""

    token: str
    user: str


class SessionShape(msgspec.Struct):
    """One of yours; id is not the token."""

    id: str
    address: str
    began: str
    used: str


class Me(msgspec.Struct):
    """Who you are to us."""

    user: str
    key: str
    scopes: list[str]
    accounts: list[AccountShape]


class AccountShape(msgspec.Struct):
    """An account of yours."""

    account: int
    name: str
    status: str


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be made. public_key: of an ed25519 one, 32 bytes in base64. expires: ISO 8601; none: never."""

    kind: KeyKind = "hmac"
    public_key: Text = ""
    scopes: list[Scope] = msgspec.field(default_factory=lambda: ["read", "trade"])
    addresses: Annotated[list[Text], msgspec.Meta(max_length=32)] = []
    expires: Text = ""


class KeyIssued(msgspec.Struct):
    """Secret and passphrase are shown this once."""

    key: str
    secret: str
    passphrase: str


class KeyShape(msgspec.Struct):
    """A key of yours."""

    key: str
    kind: str
    scopes: list[str]
    addresses: list[str]
    expires: str


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """overlap_s: so long the old key is good beside the new one."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=7 * 86_400)] = 3_600


@post("/sessions", status_code=201, summary="Log in")
async def log_in(request: AnyRequest, house: NamedDependency[House], data: JSONBody[Login]) -> Begun:
    """What was wrong is not said. Who guesses waits longer each time."""
    address = address_of(request)
    house.by_login.take(f"logins from {address}", time.monotonic())
    user = await asyncio.to_thread(house.credentials.log_in, data.user, data.password, data.code, address, house.clock())
    token = await asyncio.to_thread(house.sessions.begin, user.name, address, house.clock())
    return Begun(token, user.name)


@get("/sessions", summary="Your sessions")
async def sessions(house: NamedDependency[House], caller: NamedDependency[Caller]) -> list[SessionShape]:
    """All that have not ended."""
    found = await asyncio.to_thread(house.sessions.of_user, caller.user, house.clock())
    return [SessionShape(each.id, each.address, from_ns(each.began_ns), from_ns(each.used_ns)) for each in found]


@delete("/sessions/current", status_code=204, summary="Log out")
async def log_out(request: AnyRequest, house: NamedDependency[House], caller: NamedDependency[Caller]) -> None:
    """This session."""
    if caller.key:
        raise Denied(403, "a key is not logged in; end it with DELETE /v1/keys/<key>")
    token = request.headers.get("authorization", "").removeprefix(BEARER)
    await asyncio.to_thread(house.sessions.end, token, house.clock())


@delete("/sessions", status_code=204, summary="Log out everywhere")
async def log_out_everywhere(house: NamedDependency[House], caller: NamedDependency[Caller]) -> None:
    """All of your sessions, at once, at every gateway."""
    await asyncio.to_thread(house.sessions.end_all, caller.user)


@get("/me", summary="Who you are here")
async def me(house: NamedDependency[House], caller: NamedDependency[Caller]) -> Me:
    """User, scopes and accounts of whoever asks."""
    mine = [each for each in house.registry.all(Account) if each.number in caller.accounts]
    accounts = [AccountShape(each.number, each.name, each.status) for each in mine]
    return Me(caller.user, caller.key, sorted(caller.scopes), accounts)


@get("/keys", summary="Your keys")
async def keys(house: NamedDependency[House], caller: NamedDependency[Caller]) -> list[KeyShape]:
    """Without their secrets, which nobody can show again."""
    mine = [each for each in house.registry.all(ApiKey) if each.user == caller.user]
    return [
        KeyShape(each.key, each.kind, list(each.scopes), each.addresses, from_ns(each.expires_ns) if each.expires_ns else "")
        for each in mine
    ]


@post("/keys", status_code=201, summary="A new key")
async def issue(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[KeyAsked]) -> KeyIssued:
    """It may no more than you, and you no more by it than the key that asks."""
    if not set(data.scopes) <= caller.scopes:
        raise Denied(403, f"whoever asks may {', '.join(sorted(caller.scopes))}; a key that it makes may no more")
    issued = await asyncio.to_thread(
        house.credentials.issue,
        caller.user,
        Act(caller.user, "asked for it"),
        kind=data.kind,
        public_key=data.public_key,
        scopes=data.scopes,
        addresses=data.addresses,
        expires_ns=to_ns(data.expires) if data.expires else 0,
    )
    return KeyIssued(*issued)


@post("/keys/{key:str}/rotation", status_code=201, summary="A new key in place of one")
async def rotate(house: NamedDependency[House], caller: NamedDependency[Caller], key: FromPath[str], data: JSONBody[Rotation]) -> KeyIssued:
    """Both are good for a while."""
    _mine(house, caller, key)
    act = Act(caller.user, f"rotated {key}")
    issued = await asyncio.to_thread(house.credentials.rotate, key, act, overlap_s=data.overlap_s, now_ns=house.clock())
    return KeyIssued(*issued)


@delete("/keys/{key:str}", status_code=204, summary="End a key")
async def revoke(house: NamedDependency[House], caller: NamedDependency[Caller], key: FromPath[str]) -> None:
    """At once, at this gateway; within a second at every other."""
    _mine(house, caller, key)
    now_ns = house.clock()
    await asyncio.to_thread(house.registry.change, ApiKey, key, lambda found: found.end(now_ns, caller.user, "asked for it"))


def _mine(house: House, caller: Caller, key: str) -> None:
    """Raises Unregistered, also for another's."""
    found = house.registry.find(ApiKey, key)
    if found is None or found.user != caller.user:
        raise Unregistered(f"none of your keys is called {key!r}")


HANDLERS = (log_in, sessions, log_out, log_out_everywhere, me, keys, issue, rotate, revoke)
