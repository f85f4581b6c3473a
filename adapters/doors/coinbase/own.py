"""Orders of an account, as its owner finds them: open ones, and the last that ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple

import cachetools
from litestar.params import QueryParameter

from adapters.doors.access import Caller
from adapters.doors.coinbase.ids import CLIENT_ORDER, PROFILE, client_order_id, of_uuid, to_uuid
from adapters.doors.coinbase.problems import NotFound
from adapters.doors.house import House
from adapters.doors.rest.asking import account_of
from adapters.reads.answer import Answer, Asked
from domain.columns import PARTITION_SHIFT
from projections import layouts

MAX_REMEMBERED: Final = 2**16
NO_ORDER: Final = "order not found"
ProfileId = Annotated[str, QueryParameter(name="profile_id", max_length=36)]


class Held(NamedTuple):
    """An order and the partition that has it."""

    partition: int
    order: layouts.Order


class Memory:
    """The UUIDs that the last who traded here gave their orders, MAX_REMEMBERED of them; all of them may be forgotten. The record has the
    number that a UUID becomes (ids.py), which names the order just as well; another gateway shows the UUID of that.
    """

    def __init__(self) -> None:
        self._oids: cachetools.LRUCache[tuple[int, int], str] = cachetools.LRUCache(MAX_REMEMBERED)

    def learn(self, account: int, client_oid: str) -> int:
        """The number of *client_oid*. Raises BadId."""
        number = client_order_id(client_oid)
        self._oids[account, number] = client_oid
        return number

    def client_oid(self, account: int, number: int) -> str:
        """What the client said, else what names the order just as well; empty: the order has no name."""
        return self._oids.get((account, number)) or (to_uuid(CLIENT_ORDER, number) if number else "")


def profile(caller: Caller, profile_id: str | None) -> int:
    """The account that is meant: the caller's only one, or the one of *profile_id*. Raises Denied, BadId, NotFound."""
    account = of_uuid(PROFILE, profile_id) if profile_id else None
    if profile_id and account is None:
        raise NotFound("Profile not found")
    return account_of(caller, account)


async def read(house: House, view: str, kind: str, account: int) -> list[Answer]:
    """The rows of a kind that an account has, in each partition."""
    return [await house.own(Asked(view, f"{kind}:{account}", partition, is_group=True), account) for partition in house.desks]


async def orders(house: House, account: int, *, ended: bool) -> list[Held]:
    """The open ones, or the last 128 that ended in each partition."""
    answers = await read(house, "orders", "ended" if ended else "order", account)
    return [Held(answer.partition, layouts.ORDER.one(row)) for answer in answers for row in answer.rows.values()]


async def by_number(house: House, account: int, number: int) -> Held:
    """The order that the venue calls *number*. Raises NotFound."""
    partition = number >> PARTITION_SHIFT
    if partition in house.desks:
        answer = await house.own(Asked("orders", layouts.order_key(account, number), partition), account)
        if answer.row:
            return Held(partition, layouts.ORDER.one(answer.row))
    return _newest(each for each in await orders(house, account, ended=True) if each.order.order == number)


async def by_client_order_id(house: House, account: int, number: int) -> Held:
    """The open order of that client order id, else the last that had it. Raises NotFound."""
    found: list[Held] = []
    for ended in (False, True):
        found = [each for each in await orders(house, account, ended=ended) if each.order.client_order_id == number]
        if found:
            break
    return _newest(found)


def _newest(found: Iterable[Held]) -> Held:
    newest = max(found, key=lambda each: each.order.changed_ns, default=None)
    if newest is None:
        raise NotFound(NO_ORDER)
    return newest
