"""What handlers share: who asks, how often he may, and how a command is sent and told of."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from adapters.doors import access
from adapters.doors.access import BEARER, Caller, Denied
from adapters.doors.desk import NEVER
from adapters.doors.house import MAX_COMMAND_ID, House, Listed, Outcome, named
from adapters.doors.rest.problems import UNKNOWN, Refused, Unknown
from adapters.doors.shapes import Done, done
from commands.messages import Command, Event
from domain.events import COMMAND_REFUSED
from domain.rules import RULES

AnyRequest = Request[Any, Any, Any]
IdInPath = Annotated[str, PathParameter(pattern="^[1-9][0-9]{0,18}$", description="A 64-bit number as text.")]
AccountNumber = Annotated[int | None, QueryParameter(name="account", ge=1, le=2**31, description="Yours; may be left out by who has one.")]
Symbol = Annotated[str, PathParameter(description="As in /v1/instruments.", max_length=8, min_length=1)]
AtLeast = Annotated[int, QueryParameter(name="at_least", ge=0, le=2**53, description="Answer as of this block or a later one, or say 503.")]
MAX_PAGE: Final = 1_000
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE)]
_RULE_BY_CODE: Final = {rule.code: rule.name for rule in RULES}
S: Final = 10**9


def address_of(request: AnyRequest) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "127.0.0.1"


async def caller(request: AnyRequest, house: NamedDependency[House]) -> Caller:
    """Who asks. Raises Denied, TooOften, SessionsAway."""
    address = address_of(request)
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")  # as it was sent and signed
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}  # names are in lower case
    return await known(house, access.Request(request.method, path, headers, await request.body(), address))


async def known(house: House, asked: access.Request) -> Caller:
    """Who asks. Raises Denied, TooOften, SessionsAway."""
    if asked.headers.get("authorization", "").startswith(BEARER):  # sessions may be in Redis, which may be slow
        found = await asyncio.to_thread(house.access.caller, asked)
    else:
        found = house.access.caller(asked)
    house.by_caller.take(found.key or found.user, time.monotonic())
    return found


async def admit(request: AnyRequest) -> None:
    """Before anything else is done for a request. Raises TooOften; msgspec.ValidationError for what is said twice: who reads which?"""
    house: House = request.app.state.house
    house.by_address.take(f"address {address_of(request)}", time.monotonic())
    if request.scope["query_string"]:
        for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
            if times > 1:
                raise msgspec.ValidationError(f"{name} is said {times} times in the query; right would be once")


def account_of(caller: Caller, account: int | None) -> int:
    """The account that is meant, which is the caller's. Raises Denied."""
    if account is None:
        if len(caller.accounts) != 1:
            raise Denied(403, f"you have {len(caller.accounts)} accounts; say for which one with account=")
        return next(iter(caller.accounts))
    caller.trades_for(account)
    return account


def number(text: str) -> int:
    """A 64-bit number above 0. Raises msgspec.ValidationError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and 0 < int(text) <= MAX_COMMAND_ID):
        raise msgspec.ValidationError(f"{text!r} is no id; right would be a number from 1 to {MAX_COMMAND_ID}")
    return int(text)


def command_id_of(caller: Caller, text: str, which: int = 0) -> int:
    """The id of a command: as it was given; else, of a signed request, made of its word, so that it is done once at whatever gateway it
    is said again; else 0: one by chance. *which*: of several in a request. Raises msgspec.ValidationError.
    """
    if text or not caller.nonce:
        return number(text) if text else 0
    word = f"{caller.key}\n{caller.nonce}\n{which}".encode()
    return 1 + int.from_bytes(blake2b(word, digest_size=8).digest()) % MAX_COMMAND_ID


def deadline_of(deadline_ms: int) -> float:
    """By time.monotonic(); 0: none."""
    return time.monotonic() + deadline_ms / 1_000 if deadline_ms else NEVER


async def settle(house: House, partition: int, command: Command, deadline_s: float = NEVER) -> tuple[int, Outcome]:
    """Have *command* decided; its command id, and what became of it. Raises Refused, Unknown, and what says that it was not executed."""
    asked = named(command)
    try:
        outcome = await house.send(partition, asked, deadline_s)
    except UNKNOWN as error:
        raise Unknown(asked.sequence, error) from error
    obeyed(outcome, asked.sequence)
    return asked.sequence, outcome


def obeyed(outcome: Outcome, command_id: int) -> None:
    """Raises Refused when a rule of the market refused the command, now or when it was sent before."""
    first = outcome.events[0]
    if first.kind == "CommandRepeated" and first.fields["first_kind"] == COMMAND_REFUSED:
        rule = _RULE_BY_CODE[int(first.fields["first_detail"])]
        first = Event(first.index, "CommandRefused", {"rule": rule, "limit": 0, "observed": 0})
    if first.kind == "CommandRefused":
        raise Refused(first, command_id)


async def settled(house: House, partition: int, command: Command, listed: Listed | None, deadline_s: float = NEVER) -> Done:
    """As settle, for the client."""
    command_id, outcome = await settle(house, partition, command, deadline_s)
    return done(outcome, command_id, type(command).__name__, listed, house.durability)
